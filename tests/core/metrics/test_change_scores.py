"""Scores of change histograms: the worked example, the table of edge cases row by row, exactness beyond 2^31."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.change_scores import (
    HistogramSums,
    binary_scores,
    change_scores,
    class_scores,
    cohen_kappa,
    kind_scores,
    macro_scores,
)

EXAMPLE = np.array([[10, 1, 1], [2, 3, 1], [0, 1, 4]])


def scores(histogram: object, **options: bool) -> dict[str, float]:
    return {k: float(v) for k, v in change_scores(HistogramSums.of(np.asarray(histogram)), **options).items()}


def test_worked_example() -> None:
    found = scores(EXAMPLE)
    kappa = (7 / 13 - 64 / 169) / (1 - 64 / 169)
    expected = {
        'OA': 17 / 23, 'IoU0': 10 / 14, 'IoU1': 9 / 13, 'mIoU': (10 / 14 + 9 / 13) / 2, 'separated_kappa': kappa,
        'SeK': kappa * math.exp(9 / 13 - 1), 'F_scd': 7 / 11, 'precision_scd': 7 / 11, 'recall_scd': 7 / 11,
        'Score': 0.3 * (10 / 14 + 9 / 13) / 2 + 0.7 * kappa * math.exp(9 / 13 - 1), 'valid': 1, 'kappa_degenerate': 0,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-14), name
    printed = {'separated_kappa': 0.25714, 'mIoU': 0.70330, 'SeK': 0.18904, 'F_scd': 0.63636, 'OA': 0.73913,
               'Score': 0.34331}  # fmt: skip
    for name, value in printed.items():
        assert round(found[name], 5) == value


def slow_scores(h: np.ndarray) -> dict[str, float]:
    """From the matrix, as the definitions are written."""
    n, h00 = h.sum(), h[0, 0]
    m = h.astype(float).copy()
    m[0, 0] = 0
    po = np.trace(m) / m.sum()
    pe = sum(m[k].sum() * m[:, k].sum() for k in range(len(h))) / m.sum() ** 2
    iou1 = h[1:, 1:].sum() / (n - h00)
    right = np.trace(h[1:, 1:])
    p, r = right / (n - h[0].sum()), right / (n - h[:, 0].sum())
    return {'SeK': (po - pe) / (1 - pe) * math.exp(iou1) / math.e, 'IoU1': iou1, 'F_scd': 2 * p * r / (p + r)}


def test_equals_the_definitions_on_random_histograms() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 3, 7, 37):
        h = rng.integers(0, 50, (size, size)) + np.eye(size, dtype=int) * rng.integers(0, 500)
        found = scores(h)
        for name, value in slow_scores(h).items():
            assert found[name] == pytest.approx(value, rel=1e-12), (size, name)


NONE = np.array([[50, 0, 0], [0, 0, 0], [0, 0, 0]])
MISSED = np.array([[50, 3, 2], [0, 0, 0], [0, 0, 0]])
FALSE = np.array([[50, 0, 0], [4, 0, 0], [1, 0, 0]])
ONE_CLASS = np.array([[50, 0, 0], [0, 9, 0], [0, 0, 0]])
NOTHING = np.zeros((3, 3), dtype=int)
NAN = math.nan


@pytest.mark.parametrize(
    ('histogram', 'expected', 'strict'),
    [
        (NONE, {'SeK': NAN, 'IoU1': NAN, 'mIoU': NAN, 'F_scd': NAN, 'separated_kappa': NAN, 'valid': 0, 'OA': 1},
         {'SeK': NAN, 'mIoU': NAN, 'F_scd': NAN, 'separated_kappa': 0}),
        (MISSED, {'SeK': 0, 'F_scd': 0, 'IoU1': 0, 'valid': 1, 'mIoU': 50 / 55 / 2}, {'SeK': 0, 'F_scd': NAN}),
        (FALSE, {'SeK': 0, 'F_scd': 0, 'IoU1': 0, 'valid': 1}, {'SeK': 0, 'F_scd': NAN}),
        (ONE_CLASS, {'separated_kappa': 1, 'SeK': 1, 'F_scd': 1, 'mIoU': 1, 'kappa_degenerate': 1},
         {'separated_kappa': 0, 'SeK': 0, 'F_scd': 1, 'kappa_degenerate': 1}),
        (NOTHING, {'SeK': NAN, 'OA': NAN, 'F_scd': NAN, 'mIoU': NAN, 'kappa': NAN, 'valid': 0},
         {'SeK': NAN, 'separated_kappa': 0}),
    ],
    ids=['no change', 'missed', 'false alarms', 'one class, all right', 'nothing counted'],
)  # fmt: skip
def test_edge_cases(histogram: np.ndarray, expected: dict[str, float], strict: dict[str, float]) -> None:
    for values, found in ((expected, scores(histogram)), (strict, scores(histogram, strict_reference=True))):
        for name, value in values.items():
            assert found[name] == value or (math.isnan(found[name]) and math.isnan(value)), (name, found[name])


def test_negative_kappa_stays_negative() -> None:
    swapped = np.array([[90, 0, 0], [0, 0, 10], [0, 10, 0]])
    found = scores(swapped)
    assert found['separated_kappa'] == -1.0 and found['SeK'] == -1.0 and found['IoU1'] == 1.0


def test_counts_beyond_int32_and_float32_stay_exact() -> None:
    """Scores of a histogram do not change when every count is multiplied by a number that overflows squares."""
    factor = 3_000_000_000
    large = scores(EXAMPLE.astype(np.int64) * factor)
    for name, value in scores(EXAMPLE).items():
        assert large[name] == pytest.approx(value, rel=1e-14), name
    single = EXAMPLE.astype(np.int64) * factor
    single[1, 2] += 1
    assert HistogramSums.of(single).predicted[1] == 6 * factor + 1


def test_leading_shape_gives_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    tables = rng.integers(0, 9, (5, 2, 4, 4))
    tables[0, 0] = 0
    together = change_scores(HistogramSums.of(tables))
    for i in range(5):
        for j in range(2):
            for name, value in scores(tables[i, j]).items():
                assert np.isclose(together[name][i, j], value, rtol=1e-13, equal_nan=True), name


def test_sums_pack_and_columns() -> None:
    sums = HistogramSums.of(EXAMPLE)
    again = HistogramSums.unpack(sums.pack())
    columns = HistogramSums.of_columns({j: EXAMPLE[:, j] for j in range(3)}, 3)
    for other in (again, columns):
        for name in ('predicted', 'labelled', 'agreed'):
            np.testing.assert_array_equal(getattr(sums, name), getattr(other, name))
    with pytest.raises(ValueError, match=r'\(2, 3\)'):
        HistogramSums.of(np.zeros((2, 3)))


def test_class_macro_and_kind_scores() -> None:
    table = np.array([[8, 2, 0, 0], [1, 3, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    found = class_scores(HistogramSums.of(table))
    np.testing.assert_allclose(found['IoU'], [8 / 12, 3 / 6, 0, NAN])
    np.testing.assert_allclose(found['recall'], [0.8, 0.6, NAN, NAN])
    np.testing.assert_allclose(found['precision'], [0.8, 0.75, 0, NAN])
    np.testing.assert_allclose(found['F1'], [0.8, 6 / 9, 0, NAN])
    macro = macro_scores(HistogramSums.of(table))
    assert macro['macro_recall'] == pytest.approx(0.7)
    assert macro['macro_iou'] == pytest.approx((8 / 12 + 0.5 + 0) / 3)
    assert macro_scores(HistogramSums.of(table), first=1)['macro_f1'] == pytest.approx((6 / 9) / 2)
    kinds = kind_scores(HistogramSums.of(table))
    assert kinds['OA'] == pytest.approx(11 / 15)
    assert np.isnan(macro_scores(HistogramSums.of(NOTHING))['macro_iou'])


def test_binary_scores_and_kappa() -> None:
    found = binary_scores(HistogramSums.of(np.array([[80, 5], [10, 5]])))
    assert found['precision'] == pytest.approx(5 / 15) and found['recall'] == pytest.approx(0.5)
    assert found['F1'] == pytest.approx(0.4) and found['IoU'] == pytest.approx(0.25)
    assert found['mIoU'] == pytest.approx((80 / 95 + 0.25) / 2) and found['false_change'] == pytest.approx(10 / 90)
    chance = (85 * 90 + 15 * 10) / 100**2
    assert found['kappa'] == pytest.approx((0.85 - chance) / (1 - chance))
    missed = binary_scores(HistogramSums.of(np.array([[80, 5], [0, 0]])))
    assert missed['F1'] == missed['precision'] == missed['recall'] == 0
    quiet = binary_scores(HistogramSums.of(np.array([[80, 0], [0, 0]])))
    assert np.isnan(quiet['F1']) and np.isnan(quiet['IoU'])
    assert cohen_kappa(HistogramSums.of(np.array([[80, 0], [0, 0]]))) == 1.0
