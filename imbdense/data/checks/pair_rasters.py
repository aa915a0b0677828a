"""Checks of pairs that are rasters: whole, one grid, the same bands and number type, data somewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence

from imbdense.data.change.images import DATES_CURE, check_same_place, is_raster
from imbdense.data.change.pairs import PairFiles
from imbdense.data.finding import Finding
from imbdense.data.geotiff import WARP_LABEL, open_raster, read_planes

SAME_BANDS = 'Make both dates the same way; `imbdense.LoadChangePair(bands=...)` reads those that both have.'


def pair_raster_findings(pair: PairFiles) -> list[Finding]:
    """What is wrong with the rasters of one pair, of its dates and its labels; nothing of other files.

    The first and the last pixel of every file are read, for one that was cut off still has its head. Files that know
    "no data" are read whole.
    """
    images = [path for path in pair.images if _is_there(path)]
    found = [finding for path in images for finding in _own(path)]
    broken = {finding.file for finding in found if finding.severity == 'error'}
    for path in images[1:]:
        if not {images[0], path} & broken:
            found += _place(images[0], path, DATES_CURE) + _numbers(images[0], path)
    labels = [path for path in (pair.change, *pair.land_cover) if path and _is_there(path)]
    for path in labels if images and images[0] not in broken else ():
        found += _place(images[0], path, WARP_LABEL)
    return found


def _is_there(path: str) -> bool:
    """Whether a file is there and a TIFF; that it is missing is told elsewhere."""
    return os.path.isfile(path) and is_raster(path)


def _own(path: str) -> list[Finding]:
    """A file that cannot be read to its end, or holds no data anywhere."""
    from rasterio.enums import MaskFlags

    try:
        with open_raster(path) as source:
            last = (source.height - 1, source.width - 1, 1, 1)
            for window in ((0, 0, 1, 1), last):
                read_planes(source, window)
            if all(MaskFlags.all_valid in flags for flags in source.mask_flag_enums):
                return []
            valid = read_planes(source, (0, 0, source.height, source.width))[1]
    except (OSError, ValueError) as error:
        said = str(error).removeprefix(f'{path}: ')
        return [Finding('error', 'image_unreadable', path, said, 'Get this file again.')]
    if valid.any():
        return []
    return [Finding('warning', 'no_data', path, 'has no data anywhere: the labels of its pair are ignored whole.',
                    'Leave the pair out, or correct the "no data" value of the file (`rio info FILE`).')]


def _place(first: str, other: str, cure: str) -> list[Finding]:
    """Two files that do not cover the same pixels."""
    try:
        check_same_place(first, other, '')
    except ValueError as error:
        return [Finding('error', 'grid', other, str(error), cure)]
    except OSError:
        pass  # a label that cannot be read is told by the count of labels
    return []


def _numbers(first: str, other: str) -> list[Finding]:
    """Dates of other bands or number types."""
    with open_raster(first) as one, open_raster(other) as two:
        if one.count != two.count:
            return [Finding('error', 'bands', other, f'has {two.count} bands, but {first} has {one.count}.',
                            SAME_BANDS)]
        types: Sequence[str] = [str(source.dtypes[0]) for source in (one, two)]
    if types[0] != types[1]:
        return [Finding('warning', 'number_type', other, f'holds {types[1]}, but {first} holds {types[0]}.',
                        'Are both in the same units?')]
    return []
