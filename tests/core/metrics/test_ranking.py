"""AUROC and AP: the worked examples, agreement with scikit-learn, bounds that hold, the failure of linear bins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imbdense.core.metrics.ordered_key import ordered_key
from imbdense.core.metrics.ranking import auroc_ap, auroc_ap_from_hist


def hist(keys: np.ndarray, labels: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    return np.bincount(keys[labels], minlength=bins), np.bincount(keys[~labels], minlength=bins)


def rare_scores(size: int, prevalence: float, seed: int, shift: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    gen = np.random.default_rng(seed)
    labels = gen.random(size) < prevalence
    labels[:2] = [True, False]
    logits = gen.normal(size=size) + shift * labels - 8.0
    return (1 / (1 + np.exp(-logits))).astype(np.float32), labels


def test_four_scores() -> None:
    for result in (
        auroc_ap(np.array([0.9, 0.8, 0.7, 0.6]), [1, 0, 1, 0]),
        auroc_ap_from_hist([0, 1, 0, 1], [1, 0, 1, 0], exact=True),
    ):
        assert result['auroc'] == pytest.approx(3 / 4, abs=1e-15)
        assert result['ap'] == result['ap_lo'] == result['ap_hi'] == pytest.approx(5 / 6, abs=1e-15)
        assert result['prevalence'] == 0.5


def test_all_tied() -> None:
    result = auroc_ap_from_hist([10], [40])
    assert (result['auroc'], result['auroc_lo'], result['auroc_hi']) == (0.5, 0.0, 1.0)
    assert result['ap'] == pytest.approx(0.2)
    assert result['ap_lo'] == pytest.approx(sum(j / (j + 40) for j in range(1, 11)) / 10, abs=1e-14)
    assert result['ap_hi'] == 1.0
    assert auroc_ap(np.full(50, 0.3), np.arange(50) < 10)['ap'] == pytest.approx(0.2)


def test_one_mixed_bin_below_a_pure_one() -> None:
    result = auroc_ap_from_hist([2, 1], [1, 0])
    assert (result['auroc_lo'], result['auroc'], result['auroc_hi']) == pytest.approx((1 / 3, 2 / 3, 1.0))
    assert result['ap'] == pytest.approx(1 / 3 + 2 / 3 * 3 / 4)
    assert result['ap_lo'] == pytest.approx(1 / 3 + (2 / 3 + 3 / 4) / 3)
    assert result['ap_hi'] == pytest.approx(1.0)


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('prevalence', [0.02, 0.3, 0.8])
def test_equals_scikit_learn_with_ties(dtype: type, prevalence: float) -> None:
    peer = pytest.importorskip('sklearn.metrics')
    gen = np.random.default_rng(3)
    for decimals in (0, 1, 6):
        labels = gen.random(500) < prevalence
        labels[:2] = [True, False]
        scores = np.round(gen.normal(size=500) + labels, decimals).astype(dtype)
        scores[:2] = [np.inf, -np.inf]
        finite = np.clip(scores.astype(np.float64), -100, 100)
        result = auroc_ap(scores, labels)
        assert abs(result['auroc'] - peer.roc_auc_score(labels, finite)) < 1e-12
        assert abs(result['ap'] - peer.average_precision_score(labels, finite)) < 1e-12


def test_bf16_histograms_equal_scikit_learn_in_any_chunking() -> None:
    peer = pytest.importorskip('sklearn.metrics')
    scores, labels = rare_scores(200_000, 0.003, seed=4)
    rounded = torch.from_numpy(scores).bfloat16()
    values = rounded.double().numpy()
    truth = peer.roc_auc_score(labels, values), peer.average_precision_score(labels, values)
    keys = ordered_key(rounded, 16).long().numpy()
    for chunks in (1, 7, 100):
        positives, negatives = np.zeros(2**16, np.int64), np.zeros(2**16, np.int64)
        for part in np.array_split(np.random.default_rng(chunks).permutation(len(keys)), chunks):
            p, n = hist(keys[part], labels[part], 2**16)
            positives += p
            negatives += n
        result = auroc_ap_from_hist(positives, negatives, exact=True)
        assert abs(result['auroc'] - truth[0]) < 1e-12
        assert abs(result['ap'] - truth[1]) < 1e-12


def test_bounds_hold_the_truth() -> None:
    gen = np.random.default_rng(5)
    for case in range(200):
        size = int(gen.integers(4, 3000))
        labels = gen.random(size) < gen.choice([0.01, 0.1, 0.5, 0.95])
        labels[:2] = [True, False]
        scores = (gen.normal(size=size) * gen.choice([0.01, 1, 100]) + labels).astype(np.float32)
        if case % 2:
            scores = np.round(scores, 1)
        bits = int(gen.integers(2, 17))
        truth = auroc_ap(scores, labels)
        keys = ordered_key(torch.from_numpy(scores), bits).long().numpy()
        result = auroc_ap_from_hist(*hist(keys, labels, 2**bits))
        for name in ('auroc', 'ap'):
            assert result[f'{name}_lo'] - 1e-12 <= truth[name] <= result[f'{name}_hi'] + 1e-12, (case, name)
            assert result[f'{name}_lo'] - 1e-12 <= result[name] <= result[f'{name}_hi'] + 1e-12, (case, name)


def test_linear_bins_fail_where_ordered_keys_do_not() -> None:
    """200 equally spaced thresholds are the usual default; at prevalence 2e-4 they lose a fifth of the AUROC."""
    scores, labels = rare_scores(1_000_000, 2e-4, seed=6)
    truth = auroc_ap(scores, labels)['auroc']
    linear = auroc_ap_from_hist(*hist((scores * 200).astype(np.int64).clip(0, 199), labels, 200))['auroc']
    keys = ordered_key(torch.from_numpy(scores), 16).long().numpy()
    ours = auroc_ap_from_hist(*hist(keys, labels, 2**16))
    assert abs(linear - truth) > 0.1
    assert abs(ours['auroc'] - truth) < 1e-4
    assert ours['auroc_lo'] <= truth <= ours['auroc_hi']
    assert ours['auroc_hi'] - ours['auroc_lo'] < 0.005


def test_huge_counts_do_not_overflow() -> None:
    result = auroc_ap_from_hist([2**40, 2**50], [2**60, 2**55])
    share = 2**50 / (2**50 + 2**40)
    assert result['auroc'] == pytest.approx(share * (1 - 0.5 / 33) + (1 - share) * (32 / 33 / 2), rel=1e-9)
    assert 0 <= result['ap_lo'] <= result['ap'] <= result['ap_hi'] <= 1


def test_pessimistic_ap_is_precise_for_large_counts() -> None:
    """The plain psi difference loses its digits here; the slow sum is the reference."""
    result = auroc_ap_from_hist([1000, 3], [10**9, 10**7])
    slow = sum(j / (j + 1e7) for j in range(1, 4)) + sum((3 + j) / (3 + j + 1.01e9) for j in range(1, 1001))
    assert result['ap_lo'] == pytest.approx(slow / 1003, rel=1e-9)


def test_class_without_positives_or_negatives_is_nan() -> None:
    for positives, negatives in (([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])):
        assert math.isnan(auroc_ap_from_hist(positives, negatives)['auroc'])
    result = auroc_ap(np.array([0.1, 0.2]), [0, 0])
    assert math.isnan(result['ap']) and result['prevalence'] == 0.0


def test_single_repairs_raise_auroc_equally_and_ap_most_at_the_top() -> None:
    """The paper's lemma: swapping one adjacent wrong pair moves AUROC by 1 / (P N) wherever it is."""
    labels = (np.random.default_rng(7).random(60) < 0.3).astype(int)
    order = np.arange(60, 0, -1).astype(np.float64)
    base = auroc_ap(order, labels)
    gains = []
    for i in np.flatnonzero((labels[:-1] == 0) & (labels[1:] == 1)):
        fixed = labels.copy()
        fixed[[i, i + 1]] = fixed[[i + 1, i]]
        result = auroc_ap(order, fixed)
        gains.append((result['auroc'] - base['auroc'], result['ap'] - base['ap']))
    auroc_gain, ap_gain = np.array(gains).T
    assert np.ptp(auroc_gain) < 1e-12 and auroc_gain[0] > 0
    assert ap_gain.argmax() == 0


@pytest.mark.parametrize('labels', [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_nan_scores_are_refused(labels: list[int], dtype: type) -> None:
    for value in (np.nan, -np.nan):
        for place in (0, 1):
            scores = np.linspace(0, 1, 10, dtype=dtype)
            scores[place] = np.copysign(np.nan, value)
            with pytest.raises(ValueError, match='NaN'):
                auroc_ap(scores, labels)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='2 scores but 3 labels'):
        auroc_ap(np.zeros(2), np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match='0 and 1'):
        auroc_ap(np.zeros(2), [0, 2])
    with pytest.raises(ValueError, match='must be floats'):
        auroc_ap(np.zeros(2, dtype=int), [0, 1])
    with pytest.raises(ValueError, match='negative counts'):
        auroc_ap_from_hist([-1], [1])
    with pytest.raises(ValueError, match='shape'):
        auroc_ap_from_hist([1, 2], [1])


def _two_subgroups(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and subgroup, best score first: prevalence .05 and AUROC about .85 against .01 and .65."""
    gen = np.random.default_rng(seed)
    group = np.repeat([0, 1], 200)
    labels = (np.arange(400) % 200) < np.where(group == 0, 10, 2)
    order = np.argsort(-(gen.normal(size=400) + np.where(group == 0, 1.47, 0.55) * labels))
    return labels[order].astype(int), group[order]


def _gap_after_repairs(seed: int, by: str, steps: int = 50) -> tuple[float, float]:
    """AUROC of subgroup 0 minus that of subgroup 1, before and after ``steps`` greedy repairs of adjacent pairs."""

    def gap() -> float:
        place = np.arange(400, 0, -1).astype(np.float64)
        first, second = (auroc_ap(place[group == g], labels[group == g])['auroc'] for g in (0, 1))
        return first - second

    labels, group = _two_subgroups(seed)
    gen, before = np.random.default_rng(seed + 100), gap()
    for _ in range(steps):
        wrong = np.flatnonzero((labels[:-1] == 0) & (labels[1:] == 1))
        rank = wrong + 1
        gain = np.cumsum(labels)[wrong + 1] / (rank * (rank + 1.0)) if by == 'ap' else gen.random(wrong.size)
        swap = wrong[np.argmax(gain)]  # every repair gains AUROC alike, so AUROC picks any of them
        labels[[swap, swap + 1]] = labels[[swap + 1, swap]]
        group[[swap, swap + 1]] = group[[swap + 1, swap]]
    return before, gap()


def test_optimising_ap_favours_the_subgroup_of_high_prevalence() -> None:
    """The paper's experiment: greedy AP repair widens the AUROC gap between subgroups more than AUROC repair does."""
    change = {
        by: np.mean([after - before for before, after in (_gap_after_repairs(seed, by) for seed in range(20))])
        for by in ('ap', 'auroc')
    }
    assert change['ap'] > 0.003
    assert change['ap'] > change['auroc'] + 0.004
