"""What is wrong with a part of a large raster."""

from __future__ import annotations

from collections.abc import Callable

from imbdense.data.checks.splits import RasterSplit
from imbdense.data.finding import Finding


def raster_findings(split: RasterSplit, *, progress: Callable[[str], None] = lambda text: None) -> list[Finding]:
    """Broken rasters and values that are no class (the first of each), and classes that the part lacks."""
    progress(f'{split.name}: counting labels block by block')
    try:
        counts = split.scan().counts
    except (ValueError, OSError) as error:
        code = 'unreadable' if isinstance(error, OSError) else 'values'
        return [Finding('error', code, split.labels[0], str(error), 'Mend the file or the config.', split.name)]
    amounts = counts.of('pixels')
    absent = [name for name, pixels in zip(counts.classes, amounts.tolist()) if not pixels]
    if not absent:
        return []
    return [Finding(
        'warning', 'absent', '', f'no pixel of {", ".join(absent)} lies in this part.',
        'Divide the place by another seed of the split, or smaller blocks.', split.name,
    )]
