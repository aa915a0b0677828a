"""Confusion tables in int64, without masking: ignored pixels get a row of their own that is cut off at the end.

Counting with float32 histograms stops at 2**24 = 16,777,216 per class, and multiplying a uint8 label by the number of
classes wraps around; both are found in widely used code and both hurt the rare classes. Here every count is int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.metrics.byte_table import SIDE, count_byte_pairs


class LabelRangeError(ValueError):
    """Labels outside [0, C) that are not ``ignore_index``. ``values`` lists the offending values."""

    def __init__(self, what: str, values: list[int], num_classes: int, ignore_index: int, place: str = '') -> None:
        self.what, self.values, self.num_classes, self.ignore_index = what, values, num_classes, ignore_index
        cure = (
            'Run `imbdense check CONFIG` to see which label files hold them, and see that the class list and '
            'reduce_zero_label are those the labels were made with.'
            if what == 'target'
            else 'The model predicts classes the data set does not declare: compare num_classes of the head with the '
            'class list.'
        )
        where = f' of {place}' if place else ''
        super().__init__(
            f'{what}{where} holds the values {values}, outside [0, {num_classes}) and not '
            f'ignore_index={ignore_index}. {cure}'
        )

    def at(self, place: str) -> LabelRangeError:
        """Return the same error with the name of the file it came from."""
        return LabelRangeError(self.what, self.values, self.num_classes, self.ignore_index, place)


def confusion_table(
    pred: Tensor | NDArray[Any],
    target: Tensor | NDArray[Any],
    num_classes: int,
    *,
    ignore_index: int = 255,
) -> NDArray[np.int64]:
    """Count pairs: entry [i, j] = number of positions with truth i and prediction j.

    Args:
        pred: integer class indices, any shape, torch tensor (any device) or numpy array.
        target: the same number of positions; values in [0, C) or ``ignore_index``.
        num_classes: C.
        ignore_index: positions with this truth are left out (also when it is inside [0, C)).

    Returns:
        int64 array (C, C) on the host. All zeros for empty or wholly ignored input.

    Raises:
        ValueError: the sizes differ. TypeError: not integers.
        LabelRangeError: a truth outside [0, C) and not ``ignore_index``, or a prediction outside [0, C) at a counted
            position.

    CPU input whose values fit a byte takes the byte table (numba when present); other input one ``torch.bincount``
    on its own device.
    """
    pred_t = torch.from_numpy(pred) if isinstance(pred, np.ndarray) else pred
    target_t = torch.from_numpy(target) if isinstance(target, np.ndarray) else target
    _check_pair(pred_t, target_t)
    byte_range = num_classes <= SIDE and 0 <= ignore_index < SIDE
    if byte_range:
        if pred_t.device.type == 'cpu' and target_t.device.type == 'cpu':
            raw = count_byte_pairs(target_t.numpy(), pred_t.numpy())
        else:
            raw = count_byte_pairs_torch(target_t, pred_t)
        if raw is not None:
            return _cut(raw, num_classes, ignore_index, target_t.numel())
    return _count_wide(pred_t, target_t, num_classes, ignore_index)


def count_byte_pairs_torch(target: Tensor, pred: Tensor) -> NDArray[np.int64] | None:
    """As ``count_byte_pairs`` with torch alone: one ``bincount`` of 256 target + pred on the tensors' device."""
    pairs = pred.reshape(-1).to(torch.int32, copy=True)
    if pairs.numel() == 0:
        return np.zeros((1, SIDE, SIDE), dtype=np.int64)
    rows = target.reshape(-1).to(device=pairs.device, dtype=torch.int32)
    limits = torch.stack([*torch.aminmax(pairs), *torch.aminmax(rows)]).tolist()  # one wait for the device
    if min(limits) < 0 or max(limits) >= SIDE:
        return None
    pairs.add_(rows, alpha=SIDE)
    counts = torch.bincount(pairs, minlength=SIDE * SIDE)
    table: NDArray[np.int64] = counts.view(1, SIDE, SIDE).cpu().numpy()
    return table


def _count_wide(pred: Tensor, target: Tensor, num_classes: int, ignore_index: int) -> NDArray[np.int64]:
    """Labels beyond a byte (C > 256, ignore = -1, wrong values): ignore becomes row C, then one bincount."""
    rows = target.reshape(-1).long()
    columns = pred.reshape(-1).to(device=rows.device, dtype=torch.int64)
    ignored = rows == ignore_index
    _refuse('target', rows[((rows < 0) | (rows >= num_classes)) & ~ignored], num_classes, ignore_index)
    _refuse('pred', columns[((columns < 0) | (columns >= num_classes)) & ~ignored], num_classes, ignore_index)
    rows = torch.where(ignored, num_classes, rows)
    columns = columns.clamp(0, num_classes - 1)
    counts = torch.bincount(rows * num_classes + columns, minlength=(num_classes + 1) * num_classes)
    table: NDArray[np.int64] = counts.view(num_classes + 1, num_classes)[:num_classes].cpu().numpy().copy()
    return table


def _cut(parts: NDArray[np.int64], num_classes: int, ignore_index: int, size: int) -> NDArray[np.int64]:
    """Cut the class rows out of the byte tables; when they do not hold all ``size`` pairs, name what is elsewhere."""
    table: NDArray[np.int64] = parts[:, :num_classes, :num_classes].sum(axis=0)
    table[ignore_index:][:1] = 0
    if int(table.sum()) + int(parts[:, ignore_index].sum()) == size:
        return table
    counted = parts.sum(axis=0)
    counted[ignore_index] = 0
    outside_rows = np.flatnonzero(counted[num_classes:].any(axis=1)) + num_classes
    if outside_rows.size:
        raise LabelRangeError('target', outside_rows[:10].tolist(), num_classes, ignore_index)
    outside_columns = np.flatnonzero(counted[:, num_classes:].any(axis=0)) + num_classes
    raise LabelRangeError('pred', outside_columns[:10].tolist(), num_classes, ignore_index)


def _refuse(what: str, wrong: Tensor, num_classes: int, ignore_index: int) -> None:
    """Raise when any value is left in ``wrong``."""
    if wrong.numel():
        raise LabelRangeError(what, torch.unique(wrong)[:10].tolist(), num_classes, ignore_index)


def _check_pair(pred: Tensor, target: Tensor) -> None:
    """Same number of positions, integers on both sides."""
    for name, labels in (('pred', pred), ('target', target)):
        if labels.is_floating_point() or labels.is_complex():
            raise TypeError(f'confusion_table: {name} must hold integer class indices, but is {labels.dtype}.')
    if pred.numel() != target.numel():
        raise ValueError(
            f'confusion_table: pred {tuple(pred.shape)} and target {tuple(target.shape)} must hold the same number of '
            f'positions. Was the prediction resized to the size of the label?'
        )
