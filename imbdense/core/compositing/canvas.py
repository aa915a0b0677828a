"""Paste objects into an annotated image, touching nothing but the window each of them covers.

Simple copy-paste (Ghiasi et al., CVPR 2021) composes whole images under whole-image masks; here the cost follows the
pixels of the pasted objects, whatever the size of the image and the number of its masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.compositing.alpha import feathered_alpha
from imbdense.core.compositing.cutout import Cutout
from imbdense.core.overlaps import box_iou

MIN_VISIBLE = 0.5
MAX_IOU = 0.1


@dataclass(eq=False)
class Pasted:
    """An object on the canvas: class; first row and column; mask (h, w) of what is visible of it there; its area before
    anything covered it (with the part outside the image)."""

    klass: int
    top: int
    left: int
    mask: NDArray[np.bool_]
    area: int


class Canvas:
    """An image with its annotations, changed in place by :meth:`paste`.

    Rules of a paste (an object that breaks one is refused and nothing changes): the object's box has an IoU of at most
    .1 with every box there is (as given or pasted), ignored objects included; at least .5 of its pixels are visible
    (inside the image and not under ignored pixels of the label map); of every object that it covers at least .5
    remains. Pixels that the label map ignores are never changed, neither in the image nor in the label.

    Args:
        image: (H, W, bands), any number type, C-contiguous; zero bands where only annotations matter.
        boxes: (n, 4) float32, x1, y1, x2, y2. ``masks``: (n, H, W) bool; without them the pixels of a box are
            taken as its object's. With masks, an object that is partly covered gets the tight box of what remains.
        label: (H, W) integer label map; the class is written where alpha >= .5.
        ignore_index: value of ignored pixels in ``label``.

    Raises:
        ValueError: arrays of different sizes; an image that is not C-contiguous.
    """

    def __init__(
        self,
        image: NDArray[Any],
        boxes: NDArray[np.float32] | None = None,
        masks: NDArray[np.bool_] | None = None,
        label: NDArray[np.integer] | None = None,
        ignore_index: int = 255,
    ) -> None:
        if not image.flags.c_contiguous:
            raise ValueError('Canvas: image must be C-contiguous; give np.ascontiguousarray(image).')
        self.shape = image.shape[:2]
        self.image, self.label, self.masks, self.ignore_index = image, label, masks, ignore_index
        given = np.zeros((0, 4)) if boxes is None else np.array(boxes, np.float64).reshape(-1, 4)
        for name, found, wanted in (
            ('label', None if label is None else label.shape, self.shape),
            ('masks', None if masks is None else masks.shape, (len(given), *self.shape)),
        ):
            if found is not None and found != wanted:
                raise ValueError(f'Canvas: {name} has shape {found}, expected {wanted} for image and boxes.')
        self.given = len(given)
        self._boxes: NDArray[np.float64] = given
        self._shrunk: set[int] = set()
        self.pasted: list[Pasted] = []
        self._left: dict[int, tuple[int, int]] = {}  # given object -> (whole area, what remains)
        self._covered = None if masks is not None or not self.given else np.zeros(self.shape, bool)

    def paste(self, cutout: Cutout, top: int, left: int) -> bool:
        """Paste ``cutout`` with its first pixel at (``top``, ``left``), which may lie outside; False when refused."""
        height, width = cutout.mask.shape
        rows, columns = _overlap(top, height, self.shape[0]), _overlap(left, width, self.shape[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return False
        inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        free = None if self.label is None else self.label[rows, columns] != self.ignore_index
        solid = cutout.mask[inside] if free is None else cutout.mask[inside] & free
        area = int(np.count_nonzero(cutout.mask))
        if area == 0 or np.count_nonzero(solid) < max(MIN_VISIBLE * area, 1):
            return False
        trimmed = _trim(solid)
        y1, y2 = rows.start + trimmed[0].start, rows.start + trimmed[0].stop
        x1, x2 = columns.start + trimmed[1].start, columns.start + trimmed[1].stop
        box = np.array([x1, y1, x2, y2], np.float64)
        losses = self._losses(box, solid, rows.start, columns.start)
        if losses is None:
            return False
        alpha = feathered_alpha(cutout.mask, cutout.feather)[inside] if cutout.feather else solid
        if free is not None and cutout.feather:
            alpha = alpha * free
        bands = self.image.shape[2]
        numbers = self.image.reshape(self.shape[0], self.shape[1] * bands)
        _blend(numbers[rows, columns.start * bands : columns.stop * bands], cutout.values[inside], alpha)
        if self.label is not None:
            self.label[rows, columns][solid] = cutout.klass
        self._cover(losses, solid, rows, columns)
        visible = solid[trimmed].copy()
        self.pasted.append(Pasted(cutout.klass, y1, x1, visible, area))
        self._boxes = np.concatenate([self._boxes, box[None]])
        return True

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(n + m, 4) float32, given and pasted objects; tight round what is visible where masks are known."""
        for number in sorted(self._shrunk):
            if number < self.given and self.masks is not None:
                around = self._pixels(number)
                mask, start = self.masks[number][around], (around[0].start, around[1].start)
            else:
                item = self.pasted[number - self.given]
                mask, start = item.mask, (item.top, item.left)
            rows, columns = _trim(mask)
            self._boxes[number] = (
                start[1] + columns.start, start[0] + rows.start, start[1] + columns.stop, start[0] + rows.stop
            )  # fmt: skip
        self._shrunk.clear()
        return self._boxes.astype(np.float32)

    def _losses(
        self, box: NDArray[np.float64], solid: NDArray[np.bool_], top: int, left: int
    ) -> dict[int, int] | None:
        """Pixels that each touched object would lose; ``None`` when a rule is broken."""
        iou = box_iou(box, self._boxes)[0]
        if (iou > MAX_IOU).any():
            return None
        losses = {}
        for number in np.flatnonzero(iou).tolist():
            whole, remaining = self._area(number)
            lost = self._lost(number, solid, top, left)
            if remaining - lost < MIN_VISIBLE * whole:
                return None
            losses[number] = lost
        return losses

    def _area(self, number: int) -> tuple[int, int]:
        """Pixels of an object before anything was pasted, and now."""
        if number >= self.given:
            item = self.pasted[number - self.given]
            return item.area, int(np.count_nonzero(item.mask))
        if number not in self._left:
            rows, columns = self._pixels(number)
            whole = (rows.stop - rows.start) * (columns.stop - columns.start)
            if self.masks is not None:
                whole = int(np.count_nonzero(self.masks[number, rows, columns]))
            self._left[number] = whole, whole
        return self._left[number]

    def _lost(self, number: int, solid: NDArray[np.bool_], top: int, left: int) -> int:
        """Pixels of an object that ``solid``, placed at (top, left), would cover and that are visible now."""
        rows, columns = self._pixels(number)
        rows = slice(max(rows.start, top), min(rows.stop, top + solid.shape[0]))
        columns = slice(max(columns.start, left), min(columns.stop, left + solid.shape[1]))
        new = solid[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if number >= self.given:
            item = self.pasted[number - self.given]
            own = item.mask[rows.start - item.top : rows.stop - item.top, columns.start - item.left :
                            columns.stop - item.left]  # fmt: skip
            return int(np.count_nonzero(new & own))
        if self.masks is not None:
            return int(np.count_nonzero(new & self.masks[number, rows, columns]))
        return int(np.count_nonzero(new & ~self._covered[rows, columns])) if self._covered is not None else 0

    def _cover(self, losses: dict[int, int], solid: NDArray[np.bool_], rows: slice, columns: slice) -> None:
        """Take the covered pixels away from the touched objects."""
        if self._covered is not None:
            self._covered[rows, columns] |= solid
        for number in (number for number, lost in losses.items() if lost):
            if number >= self.given:
                _erase(self.pasted[number - self.given], solid, rows.start, columns.start)
                self._shrunk.add(number)
                continue
            whole, remaining = self._left[number]
            self._left[number] = whole, remaining - losses[number]
            if self.masks is not None:
                self.masks[number, rows, columns][solid] = False
                self._shrunk.add(number)

    def _pixels(self, number: int) -> tuple[slice, slice]:
        """Rows and columns inside the image that an object's box touches."""
        x1, y1, x2, y2 = self._boxes[number].tolist()
        return (
            slice(max(int(np.floor(y1)), 0), min(int(np.ceil(y2)), self.shape[0])),
            slice(max(int(np.floor(x1)), 0), min(int(np.ceil(x2)), self.shape[1])),
        )


def _overlap(start: int, length: int, size: int) -> slice:
    """What of [start, start + length) lies in [0, size)."""
    return slice(max(start, 0), min(start + length, size))


def _trim(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the tight box; the mask is not empty."""
    rows: NDArray[np.bool_] = np.logical_or.reduce(mask, axis=1)
    columns: NDArray[np.bool_] = np.logical_or.reduce(mask, axis=0)
    return (
        slice(int(rows.argmax()), len(rows) - int(rows[::-1].argmax())),
        slice(int(columns.argmax()), len(columns) - int(columns[::-1].argmax())),
    )


def _erase(item: Pasted, solid: NDArray[np.bool_], top: int, left: int) -> None:
    """Remove from a pasted object the pixels under ``solid``, whose first pixel is at (top, left)."""
    rows = _overlap(top - item.top, solid.shape[0], item.mask.shape[0])
    columns = _overlap(left - item.left, solid.shape[1], item.mask.shape[1])
    new = solid[rows.start + item.top - top : rows.stop + item.top - top, columns.start + item.left - left :
                columns.stop + item.left - left]  # fmt: skip
    item.mask[rows, columns] &= ~new


def _blend(target: NDArray[Any], values: NDArray[Any], alpha: NDArray[Any]) -> None:
    """target += alpha * (values - target), in place; a bool ``alpha`` copies. Whole numbers are rounded.

    ``target`` is (h, w * bands): rows of numbers, since loops over three bands at a time are slow.
    """
    if target.size == 0:
        return
    repeated = np.empty(values.shape, alpha.dtype)
    for band in range(values.shape[2]):
        repeated[..., band] = alpha
    values, share = values.reshape(target.shape), repeated.reshape(target.shape)
    if alpha.dtype == bool:
        np.copyto(target, values, where=share)
        return
    mixed = values.astype(np.float32)
    mixed -= target
    mixed *= share
    mixed += target
    if target.dtype.kind in 'ui':
        np.rint(mixed, out=mixed)
    target[...] = mixed.astype(target.dtype)
