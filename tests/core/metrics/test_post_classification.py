"""Tables of two compared maps against a loop over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics.change_states import change_states, count_state_pairs
from imbdense.core.metrics.post_classification import differing_table, fold_unchanged, kind_table, transition_sums


@pytest.mark.parametrize('classes', [3, 20])
def test_equals_a_loop(classes: int) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, classes, 300).astype(np.uint8) for _ in range(4)]
    maps[0][:20] = 255  # no class predicted at the first date
    known = (rng.random(300) < 0.9).astype(np.uint8)
    kinds = rng.integers(0, 4, (classes, classes))
    np.fill_diagonal(kinds, 0)
    kinds[0, 1] = 3
    histogram = np.zeros((1 + classes**2,) * 2, dtype=np.int64)
    differ, by_kind = np.zeros((2, 2), int), np.zeros((4, 4), int)
    for p1, p2, g1, g2, counted in zip(*(m.tolist() for m in maps), known.tolist()):
        if not counted:
            continue
        none = 255 in (p1, p2)
        histogram[0 if none else classes * p1 + p2 + 1, classes * g1 + g2 + 1] += 1
        differ[int(not none and p1 != p2), int(g1 != g2)] += 1
        by_kind[0 if none else kinds[p1, p2], kinds[g1, g2]] += 1
    tensors = [torch.from_numpy(m) for m in maps]
    change = torch.from_numpy(np.where(known == 1, 1, 255).astype(np.uint8))
    pairs = count_state_pairs(
        change_states(torch.ones_like(change), *tensors[:2], classes, side='prediction'),
        change_states(change, *tensors[2:], classes, side='label'),
        classes,
    )
    sums = transition_sums(pairs)
    np.testing.assert_array_equal(sums.predicted, histogram.sum(axis=1))
    np.testing.assert_array_equal(sums.labelled, histogram.sum(axis=0))
    np.testing.assert_array_equal(sums.agreed, np.diag(histogram))
    np.testing.assert_array_equal(differing_table(pairs), differ)
    np.testing.assert_array_equal(kind_table(pairs, kinds), by_kind)
    folded = fold_unchanged(sums, int(differ[0, 0]))
    assert folded.labelled[0] == differ[:, 0].sum() and folded.predicted[0] == differ[0].sum()
    assert folded.labelled.sum() == sums.labelled.sum() and folded.agreed[0] == differ[0, 0]
    stays = 1 + np.arange(classes) * (classes + 1)
    assert not folded.labelled[stays].any()
