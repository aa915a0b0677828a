"""From a stored mask to class indices: reduce_zero_label, label_map, palette, ignore; in the order of the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import mask_nodata, read_mask
from imbdense.data.readers.palettes import Colour, colours_to_index

IGNORED, INVALID = 255, 254
"""Values of :attr:`LabelFormat.lookup` for ignored pixels and for values that are no class."""
MAX_CLASSES = 254


@dataclass(frozen=True)
class LabelFormat:
    """How the numbers (or colours) in label files become class indices.

    In this order, as mmseg does it: colours by ``palette`` (if the mask has three channels), then
    ``reduce_zero_label`` (0 -> ignored, k -> k - 1, 255 stays), then ``label_map`` (old -> new).

    Attributes:
        classes: C <= 254 class names, in the order of the final indices.
        ignore_index: final value that is never counted; 255 is ignored as well whenever one of the two steps makes it.
        reduce_zero_label: the background 0 is not a class.
        label_map: pairs (old index, new index); unnamed indices stay.
        palette: rows (red, green, blue, index) for colour-coded masks; see ``palettes.colour_table``.
        nodata_ignored: pixels that a GeoTIFF declares as nodata are ignored (as ``imbdense.LoadGeoTiffWindow`` does).
    """

    classes: tuple[str, ...]
    ignore_index: int = 255
    reduce_zero_label: bool = False
    label_map: tuple[tuple[int, int], ...] = ()
    palette: tuple[Colour, ...] = ()
    nodata_ignored: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(
                f'a label format needs 1 to {MAX_CLASSES} classes (labels are 8 bit), got {len(self.classes)}.'
            )

    @classmethod
    def of(
        cls,
        classes: Sequence[str],
        *,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        label_map: Mapping[int, int] | None = None,
        palette: Sequence[Colour] = (),
        nodata_ignored: bool = False,
    ) -> LabelFormat:
        """Build from plain containers."""
        pairs = tuple(sorted((int(old), int(new)) for old, new in (label_map or {}).items()))
        rows = tuple((int(r), int(g), int(b), int(index)) for r, g, b, index in palette)
        return cls(tuple(classes), int(ignore_index), bool(reduce_zero_label), pairs, rows, bool(nodata_ignored))

    has_regions = True  # no annotation, no field: whether neighbouring pixels of a class make a region
    of_points = False  # whether the labels are those of points, for the words of tables

    def identity(self) -> dict[str, Any]:
        """What decides the counts, as plain data; renaming a class changes none."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**plain, 'classes': len(self.classes)}

    def read(self, path: str | Path) -> NDArray[Any]:
        """Stored values (H, W) of a file; errors as :func:`read_indices`."""
        return read_indices(path, self)

    @cached_property
    def lookup(self) -> NDArray[np.uint8]:
        """(256,) uint8: stored index -> class index, :data:`IGNORED` or :data:`INVALID`."""
        value = np.arange(256)
        if self.reduce_zero_label:
            value = np.where((value == 0) | (value == 255), 255, value - 1)
        mapped = value.copy()
        for old, new in self.label_map:
            mapped[value == old] = new
        made_255 = self.reduce_zero_label or bool(self.label_map)
        ignored = (mapped == self.ignore_index) | (made_255 & (mapped == 255))
        return np.where(
            ignored, IGNORED, np.where((mapped >= 0) & (mapped < len(self.classes)), mapped, INVALID)
        ).astype(np.uint8)

    def describe_value(self, value: int) -> str:
        """How a stored value is written in messages (with its meaning after reduce_zero_label)."""
        return (
            f'{value} (= class {value - 1} after reduce_zero_label)' if self.reduce_zero_label and value else str(value)
        )


def read_indices(path: str | Path, label_format: LabelFormat) -> NDArray[Any]:
    """Stored indices (H, W) of any integer type; colour-coded masks go through the palette.

    Raises:
        LabelReadError: unreadable; colours but no palette; unknown colours.
    """
    mask = read_mask(path)
    if mask.ndim == 2:
        return _without_nodata(mask, path, label_format) if label_format.nodata_ignored else mask
    if not label_format.palette:
        grey = bool((mask[..., 0] == mask[..., 1]).all() and (mask[..., 0] == mask[..., 2]).all())
        what = 'all three equal: save one channel only' if grey else 'a colour-coded mask'
        raise LabelReadError(
            path,
            'colours',
            f'has three channels where class indices are expected ({what}).',
            'Convert it once to an index PNG, or give the palette (colour of each class) to SegFolderDataset.',
        )
    return colours_to_index(mask, label_format.palette, path)


def _without_nodata(mask: NDArray[Any], path: str | Path, label_format: LabelFormat) -> NDArray[Any]:
    """Nodata pixels get a stored value that is ignored."""
    nodata = mask_nodata(path)
    ignored = np.flatnonzero(label_format.lookup == IGNORED)
    if nodata is None or ignored.size == 0:
        return mask
    return np.where(mask == nodata, mask.dtype.type(ignored[-1]), mask)


def read_label(path: str | Path, label_format: LabelFormat) -> NDArray[np.uint8]:
    """Class indices (H, W) uint8 with ``ignore_index`` where ignored (255 if that does not fit).

    Raises:
        LabelReadError: as :func:`read_indices`, or a value that is no class (listed).
    """
    stored = read_indices(path, label_format)
    narrow, wide = narrow_indices(stored)
    mapped = label_format.lookup[narrow]
    bad = mapped == INVALID
    if wide is not None:
        bad |= wide
    if bad.any():
        values = np.unique(stored[bad])[:10].tolist()
        raise LabelReadError(
            path,
            'values',
            f'holds the values {values}, but there are {len(label_format.classes)} classes '
            f'and ignore_index={label_format.ignore_index}.',
            'Run `imbdense check CONFIG` for all such files.',
        )
    if label_format.ignore_index != IGNORED and 0 <= label_format.ignore_index < 256:
        mapped = np.where(mapped == IGNORED, np.uint8(label_format.ignore_index), mapped)
    return mapped


def narrow_indices(stored: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """(uint8 view or copy, where the stored value does not fit into it or None if it fits everywhere)."""
    if stored.dtype == np.uint8:
        return stored, None
    if stored.size == 0 or (stored.min() >= 0 and stored.max() <= 255):
        return stored.astype(np.uint8), None
    wide = (stored < 0) | (stored > 255)
    return np.where(wide, 0, stored).astype(np.uint8), wide
