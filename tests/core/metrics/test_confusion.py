"""Confusion tables: every path counts the same, nothing saturates, wrong labels are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics import byte_table
from imbdense.core.metrics.confusion import LabelRangeError, confusion_table, count_byte_pairs_torch

GEN = np.random.default_rng(0)


def slow_table(pred: np.ndarray, target: np.ndarray, classes: int, ignore: int) -> np.ndarray:
    table = np.zeros((classes, classes), dtype=np.int64)
    for p, t in zip(pred.ravel(), target.ravel()):
        if t != ignore:
            table[t, p] += 1
    return table


def labels(classes: int, ignore: int, size: int = 997, dtype: type = np.int64) -> tuple[np.ndarray, np.ndarray]:
    target = GEN.integers(0, classes, size)
    target[GEN.random(size) < 0.2] = ignore
    return GEN.integers(0, classes, size).astype(dtype), target.astype(dtype)


@pytest.mark.parametrize(
    ('classes', 'ignore', 'dtype'),
    [(1, 255, np.uint8), (5, 255, np.uint8), (19, 255, np.int64), (255, 255, np.uint8), (4, -1, np.int64),
     (300, 65535, np.int32), (6, 0, np.int16), (256, 255, np.int64)],
)  # fmt: skip
def test_equals_a_loop_over_positions(classes: int, ignore: int, dtype: type) -> None:
    pred, target = labels(classes, ignore, dtype=dtype)
    expected = slow_table(pred, target, classes, ignore)
    for wrap in (lambda x: x, torch.from_numpy):
        table = confusion_table(wrap(pred), wrap(target), classes, ignore_index=ignore)
        assert table.dtype == np.int64
        np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_numba_numpy_and_torch_give_equal_tables(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    pred, target = labels(19, 255, size=4001, dtype=dtype)
    fast = byte_table.count_byte_pairs(target, pred)
    torch_table = count_byte_pairs_torch(torch.from_numpy(target), torch.from_numpy(pred))
    monkeypatch.setattr(byte_table, 'numba_kernels', lambda: None)
    plain = byte_table.count_byte_pairs(target, pred)
    np.testing.assert_array_equal(fast.sum(axis=0)[:, :256], plain[0])
    np.testing.assert_array_equal(torch_table, plain)
    assert plain.sum() == fast.sum() == 4001


def test_mixed_dtypes_and_shapes() -> None:
    pred, target = labels(3, 255, size=12)
    expected = slow_table(pred, target, 3, 255)
    got = confusion_table(torch.from_numpy(pred).view(1, 3, 4), torch.from_numpy(target.astype(np.uint8)).view(3, 4), 3)
    np.testing.assert_array_equal(got, expected)


def test_counts_pass_the_float32_limit() -> None:
    """A float32 histogram stops at 2**24; mmseg's IoUMetric does (36 M pixels are counted as 16,777,216)."""
    size = 2**24 + 5
    ones = torch.ones(size, dtype=torch.uint8)
    assert confusion_table(ones, ones, 2)[1, 1] == size


def test_a_byte_label_does_not_wrap() -> None:
    """label * classes in uint8 wraps for the rows 14 to 18 of 19 classes."""
    label = np.full(7, 18, dtype=np.uint8)
    assert confusion_table(label, label, 19)[18, 18] == 7


def test_ignored_positions_equal_deleted_positions() -> None:
    pred, target = labels(4, 255)
    keep = target != 255
    np.testing.assert_array_equal(confusion_table(pred, target, 4), confusion_table(pred[keep], target[keep], 4))


def test_empty_and_wholly_ignored() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert confusion_table(nothing, nothing, 3).sum() == 0
    assert count_byte_pairs_torch(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)).sum() == 0
    assert confusion_table(np.zeros(4, np.uint8), np.full(4, 255, np.uint8), 3).sum() == 0


@pytest.mark.parametrize('wrong', [7, 200, 256, 1000, -1, -300])
@pytest.mark.parametrize('use_numba', [True, False])
def test_wrong_truth_is_named(wrong: int, use_numba: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not use_numba:
        monkeypatch.setattr(byte_table, 'numba_kernels', lambda: None)
    target = np.array([0, 1, wrong, 255])
    with pytest.raises(LabelRangeError, match=rf'target holds the values \[{wrong}\]') as caught:
        confusion_table(np.zeros(4, dtype=np.int64), target, 7)
    assert 'at /data/x.png' not in str(caught.value)
    assert 'of /data/x.png' in str(caught.value.at('/data/x.png'))


@pytest.mark.parametrize('wrong', [7, 255, 256, 600, -1])
def test_wrong_prediction_is_named(wrong: int) -> None:
    with pytest.raises(LabelRangeError, match=rf'pred holds the values \[{wrong}\]'):
        confusion_table(np.array([0, wrong]), np.array([0, 1]), 7)


@pytest.mark.parametrize('wrong', [256, 300, -1, 70000])
def test_torch_path_refuses_what_is_no_byte(wrong: int) -> None:
    good, bad = torch.tensor([0, 1]), torch.tensor([0, wrong])
    assert count_byte_pairs_torch(good, bad) is None
    assert count_byte_pairs_torch(bad, good) is None


def test_prediction_under_ignore_may_be_anything() -> None:
    assert confusion_table(np.array([0, 200]), np.array([0, 255]), 2).tolist() == [[1, 0], [0, 0]]
    assert confusion_table(np.array([0, 200]), np.array([0, -1]), 2, ignore_index=-1).tolist() == [[1, 0], [0, 0]]


def test_float_labels_and_size_mismatch_are_refused() -> None:
    with pytest.raises(TypeError, match='integer class indices'):
        confusion_table(np.zeros(2), np.zeros(2, dtype=np.int64), 2)
    with pytest.raises(ValueError, match='same number of positions'):
        confusion_table(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64), 2)
