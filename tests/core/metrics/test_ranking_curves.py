"""Operating points against scikit-learn and by hand; jackknife against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.ranking import auroc_ap_from_hist
from imbdense.core.metrics.ranking_curves import (
    ap_at_prevalence,
    best_f1,
    fpr_at_tpr,
    jackknife_error,
    partial_auroc,
    ranking_curve,
    recall_at_precision,
)

GEN = np.random.default_rng(0)
LABELS = GEN.random(3000) < 0.1
BINS = np.clip((GEN.normal(size=3000) * 8 + 30 + 12 * LABELS).astype(int), 0, 63)
P, N = np.bincount(BINS[LABELS], minlength=64), np.bincount(BINS[~LABELS], minlength=64)
CURVE = ranking_curve(P, N)


@pytest.mark.parametrize('max_fpr', [0.01, 0.1, 0.5, 1.0])
def test_partial_auroc_equals_scikit_learn(max_fpr: float) -> None:
    peer = pytest.importorskip('sklearn.metrics')
    expected = peer.roc_auc_score(LABELS, BINS, max_fpr=max_fpr if max_fpr < 1 else None)
    assert partial_auroc(CURVE, max_fpr) == pytest.approx(expected, abs=1e-12)


def test_partial_area_of_chance() -> None:
    chance = ranking_curve([1, 1], [1, 1])
    assert partial_auroc(chance, 0.3) == pytest.approx(0.5)
    assert partial_auroc(chance, 0.3, standardize=False) == pytest.approx(0.3**2 / 2)


def test_operating_points() -> None:
    peer = pytest.importorskip('sklearn.metrics')
    precision, recall, _ = peer.precision_recall_curve(LABELS, BINS)
    assert recall_at_precision(CURVE, 0.6) == pytest.approx(recall[precision >= 0.6].max())
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    value, threshold = best_f1(CURVE)
    assert value == pytest.approx(f1.max())
    chosen = threshold <= BINS
    assert 2 * (chosen & LABELS).sum() / (chosen.sum() + LABELS.sum()) == pytest.approx(value)
    for threshold in range(63, -1, -1):
        if P[threshold:].sum() >= 0.95 * P.sum():
            assert fpr_at_tpr(CURVE) == pytest.approx(N[threshold:].sum() / N.sum())
            break


def test_unreachable_precision_has_recall_zero() -> None:
    assert recall_at_precision(ranking_curve([1, 0], [0, 5]), 0.9) == 0.0


def test_ap_at_the_own_prevalence_is_ap() -> None:
    peer = pytest.importorskip('sklearn.metrics')
    own = P.sum() / (P.sum() + N.sum())
    assert ap_at_prevalence(CURVE, own) == pytest.approx(peer.average_precision_score(LABELS, BINS), abs=1e-12)
    assert ap_at_prevalence(CURVE, own / 10) < ap_at_prevalence(CURVE, own)
    weights = np.where(LABELS, 1.0, 10.0)
    expected = peer.average_precision_score(LABELS, BINS, sample_weight=weights)
    assert ap_at_prevalence(CURVE, P.sum() / (P.sum() + 10 * N.sum())) == pytest.approx(expected, abs=1e-12)


def test_downsampling_keeps_the_ends_and_the_area() -> None:
    gen = np.random.default_rng(1)
    curve = ranking_curve(gen.integers(0, 3, 5000) + np.arange(5000) // 4000, gen.integers(0, 50, 5000))
    small = curve.downsample(200)
    assert small.tpr.size <= 200 and small.bins.size == small.tpr.size - 1
    assert (small.tpr[0], small.tpr[-1], small.fpr[-1]) == (0.0, 1.0, 1.0)
    assert np.trapezoid(small.tpr, small.fpr) == pytest.approx(np.trapezoid(curve.tpr, curve.fpr), abs=5e-3)


def test_no_curve_without_both_kinds() -> None:
    assert ranking_curve([0, 0], [1, 2]) is None


def test_jackknife_is_the_textbook_formula() -> None:
    gen = np.random.default_rng(2)
    p, n = gen.integers(0, 9, (6, 16)), gen.integers(0, 50, (6, 16))

    def auroc(hits: np.ndarray, misses: np.ndarray) -> float:
        return auroc_ap_from_hist(hits, misses)['auroc']

    left_out = np.array([auroc(p.sum(0) - p[j], n.sum(0) - n[j]) for j in range(6)])
    error, half_width = jackknife_error(p, n, auroc)
    assert error == pytest.approx(math.sqrt(5 / 6 * ((left_out - left_out.mean()) ** 2).sum()))
    assert half_width == pytest.approx(2.5705818 * error, rel=1e-6)
    padded = np.vstack([p, np.zeros((2, 16), dtype=int)]), np.vstack([n, np.zeros((2, 16), dtype=int)])
    assert jackknife_error(*padded, auroc)[0] == pytest.approx(error)


def test_jackknife_without_enough_images_is_nan() -> None:
    one_block = np.array([[1, 2], [0, 0]]), np.array([[3, 1], [0, 0]])
    assert math.isnan(jackknife_error(*one_block, lambda p, n: 0.0)[0])
    only_block = np.array([[1, 2], [0, 0]]), np.array([[3, 1], [1, 1]])
    assert math.isnan(jackknife_error(*only_block, lambda p, n: auroc_ap_from_hist(p, n)['auroc'])[1])
