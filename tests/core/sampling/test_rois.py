"""Class-balanced draws of samples: equal parts, repetition, water-filling, edges."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.sampling import draw_class_balanced


def drawn(counts, number, replace):
    """(draws per class, draws per sample) of classes 3, 5, 7, ... with these numbers of samples."""
    labels = torch.repeat_interleave(3 + 2 * torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(labels.numel())]
    chosen = draw_class_balanced(labels, number, replace=replace)
    per_class = [int((labels[chosen] == 3 + 2 * c).sum()) for c in range(len(counts))]
    return per_class, torch.bincount(chosen, minlength=labels.numel())


@pytest.mark.parametrize('seed', range(5))
def test_with_replacement_all_classes_get_equally_many(seed):
    torch.manual_seed(seed)
    per_class, per_sample = drawn([50, 10, 2], 33, True)
    assert per_class == [11, 11, 11]
    assert per_sample.max() == 6, 'the two samples of the rare class come 5 and 6 times'
    per_class, _ = drawn([50, 10, 2], 32, True)
    assert sorted(per_class) == [10, 11, 11]


@pytest.mark.parametrize('seed', range(5))
def test_without_replacement_small_classes_give_all_and_the_others_share(seed):
    torch.manual_seed(seed)
    per_class, per_sample = drawn([50, 10, 2], 22, False)
    assert per_class == [10, 10, 2] and per_sample.max() == 1
    assert drawn([50, 10, 2], 42, False)[0] == [30, 10, 2]
    assert drawn([50, 10, 2], 500, False)[0] == [50, 10, 2]


def test_who_gets_the_odd_draw_and_which_samples_are_drawn_is_random():
    torch.manual_seed(0)
    odd = {tuple(drawn([5, 5], 3, replace)[0]) for replace in (True, False) for _ in range(30)}
    assert odd == {(1, 2), (2, 1)}
    labels = torch.zeros(40, dtype=torch.long)
    assert len({tuple(draw_class_balanced(labels, 5, replace=False).tolist()) for _ in range(10)}) == 10


@pytest.mark.parametrize('replace', [True, False])
def test_edges(replace):
    empty = torch.zeros(0, dtype=torch.long)
    assert draw_class_balanced(empty, 5, replace=replace).numel() == 0
    assert draw_class_balanced(torch.tensor([4, 4]), 0, replace=replace).numel() == 0
    assert set(draw_class_balanced(torch.tensor([4]), 3, replace=replace).tolist()) == {0}
