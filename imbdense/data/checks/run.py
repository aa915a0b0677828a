"""All checks of all splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imbdense.data.checks.boxes3d import box_findings
from imbdense.data.checks.change import change_findings
from imbdense.data.checks.detection import detection_findings
from imbdense.data.checks.images import duplicate_findings, same_content
from imbdense.data.checks.points import point_findings
from imbdense.data.checks.rasters import raster_findings
from imbdense.data.checks.segmentation import segmentation_findings
from imbdense.data.checks.splits import BoxSplit, ChangeSplit, PointSplit, RasterSplit, SegmentationSplit, Split
from imbdense.data.finding import Finding

ORDER = {'error': 0, 'warning': 1, 'note': 2}


def check_splits(
    splits: Sequence[Split], *, workers: int | None = None, progress: Callable[[str], None] = lambda text: None
) -> list[Finding]:
    """Return the findings of every split and across splits, errors first, otherwise in a fixed order.

    Args:
        workers: processes for reading labels.
        progress: called with a line about what is done next.
    """
    found: list[Finding] = []
    for split in splits:
        if isinstance(split, RasterSplit):
            found += raster_findings(split, progress=progress)
        elif isinstance(split, PointSplit):
            found += point_findings(split, workers=workers, progress=progress)
        elif isinstance(split, BoxSplit):
            found += box_findings(split, progress=progress)
        elif isinstance(split, SegmentationSplit):
            found += segmentation_findings(split, workers=workers, progress=progress)
            found += change_findings(split, workers=workers) if isinstance(split, ChangeSplit) else []
        else:
            found += detection_findings(split, progress=progress)
    classes = {split.classes for split in splits}
    if len(classes) > 1:
        named = '; '.join(f'{split.name}: {list(split.classes)}' for split in splits)
        found.append(
            Finding(
                'error',
                'classes_differ',
                '',
                f'the splits have different class lists ({named[:400]}).',
                'Give all splits the same metainfo.classes, in the same order.',
            )
        )
    progress('comparing images across splits')
    # Parts of one raster share its file; a split by place keeps them apart.
    found += duplicate_findings({split.name: _images(split) for split in splits if not isinstance(split, RasterSplit)})
    return sorted(dict.fromkeys(found), key=lambda finding: (ORDER[finding.severity], finding.code, finding.file))


def _images(split: Split) -> Sequence[str]:
    """The images of a split; of pairs those of every date, but not what :func:`change_findings` calls a copy."""
    if isinstance(split, ChangeSplit):
        return [image for pair in split.pairs for date, image in enumerate(pair.images)
                if not any(same_content(image, other) for other in pair.images[:date])]
    return split.images
