"""FlexMatch: per item, and with moving averages."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from imbdense.core.pseudo_label import FlexThreshold, flex_thresholds
from imbdense.core.pseudo_label.item_shares import ItemShares
from tests.core.pseudo_label.rules import draw_probs


def test_by_hand() -> None:
    found = flex_thresholds(torch.tensor([1.0, 0.5, 0.1]), torch.tensor(0.0))
    assert found.tolist() == pytest.approx([0.95, 0.3167, 0.05], abs=1e-4)
    assert flex_thresholds(torch.zeros(2), torch.tensor(1.0)).tolist() == [0, 0]
    assert flex_thresholds(torch.zeros(2), torch.tensor(0.0)).tolist() == pytest.approx([0.95, 0.95])


def slow_flexmatch(items: int, classes: int, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> list[list[int]]:
    """Counting all items anew before every batch."""
    last, found = [-1] * items, []
    for probs, indices in batches:
        seen = Counter(last)
        largest = max(seen.values())
        beta = [seen[c] / largest for c in range(classes)]
        confidence, label = probs.max(1)
        limit = [0.95 * b / (2 - b) for b in beta]
        found.append([c if q >= limit[c] else -1 for q, c in zip(confidence.tolist(), label.tolist(), strict=True)])
        for place, (q, c) in enumerate(zip(confidence.tolist(), label.tolist(), strict=True)):
            if q >= 0.95:
                last[indices[place]] = c
    return found


def test_equals_counting_everything_anew() -> None:
    generator = torch.Generator().manual_seed(0)
    rule, batches = FlexThreshold(4, num_items=50), []
    for step in range(40):
        probs = draw_probs((16, 4), step, sharpness=3.0) * torch.tensor([4.0, 1, 1, 0.3])
        probs = probs / probs.sum(1, keepdim=True)
        batches.append((probs, torch.randperm(50, generator=generator)[:16]))
    found = [rule(probs, None, indices).label.tolist() for probs, indices in batches]
    assert found == slow_flexmatch(50, 4, batches)
    assert torch.allclose(rule.items.total, rule.items.rows.double().sum(0))


def test_an_image_is_replaced_when_it_comes_again() -> None:
    rule = FlexThreshold(2, num_items=2)
    sure = torch.tensor([[0.99, 0.01], [0.99, 0.01], [0.02, 0.98], [0.5, 0.5]]).t().view(1, 2, 2, 2)
    rule(sure, None, torch.tensor([1]))
    assert rule.items.rows.tolist() == [[0, 0], [0.5, 0.25]]
    rule(sure.flip(1), None, torch.tensor([1]))
    assert rule.items.rows.tolist() == [[0, 0], [0.25, 0.5]] and rule.items.shares().tolist() == [0.125, 0.25]
    rule(torch.full((1, 2, 2, 2), 0.5), None, torch.tensor([1]))  # nothing confident: the last confident labels stay
    assert rule.items.rows.tolist() == [[0, 0], [0.25, 0.5]]


def test_padding_is_no_part_of_an_image() -> None:
    rule = FlexThreshold(2, num_items=1)
    probs = torch.tensor([[0.99, 0.01], [0.99, 0.01]]).t().view(1, 2, 1, 2)
    rule(probs, torch.tensor([[[True, False]]]), torch.tensor([0]))
    assert rule.items.rows.tolist() == [[1, 0]]


def test_an_item_given_twice_counts_once() -> None:
    shares = ItemShares(4, 2)
    shares.replace(torch.tensor([2, 2, 1]), torch.tensor([[1.0, 0], [0, 1], [0, 0]]))
    assert shares.rows.tolist() == [[0, 0], [0, 0], [0, 1], [0, 0]] and shares.total.tolist() == [0, 1]


def test_everything_is_accepted_at_first_and_rare_classes_stay_low() -> None:
    rule = FlexThreshold(2, momentum=0.9)
    assert rule(torch.tensor([[0.51, 0.49]])).accepted.sum() == 1
    probs = torch.tensor([[0.97, 0.03]] * 9 + [[0.03, 0.97]])
    for _ in range(100):
        rule(probs)
    assert rule.thresholds().tolist() == pytest.approx([0.95, 0.95 / 9 / (2 - 1 / 9)], abs=1e-3)


def test_items_need_their_indices() -> None:
    rule = FlexThreshold(2, num_items=3)
    with pytest.raises(ValueError, match='indices'):
        rule(torch.tensor([[0.9, 0.1]]))
    with pytest.raises(ValueError, match='num_items=3'):
        rule(torch.tensor([[0.9, 0.1]]), None, torch.tensor([3]))


class LargestResult(TorchDispatchMode):
    """Notes the largest tensor that an operation makes (one that works in place makes none)."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        schema = func._schema
        made = isinstance(result, torch.Tensor) and all(value.alias_info is None for value in schema.returns)
        self.elements = max(self.elements, result.numel() if made else 0)
        return result


def test_a_step_does_not_look_at_all_items() -> None:
    """With a million items no operation of a step makes anything of that size."""
    rule = FlexThreshold(4, num_items=1_000_000)
    rule(draw_probs((16, 4)), None, torch.arange(16))
    with LargestResult() as largest:
        rule(draw_probs((16, 4)), None, torch.arange(16) + 8)
    assert 0 < largest.elements < 1000
