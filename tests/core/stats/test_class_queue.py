"""The ring of the last rows of each class."""

from __future__ import annotations

from collections import deque

import pytest
import torch

from imbdense.core.stats import ClassQueue
from imbdense.core.stats.class_queue import place_in_class


def test_places_by_hand() -> None:
    assert place_in_class(torch.tensor([2, 0, 2, 2, 1, 0])).tolist() == [0, 0, 1, 2, 0, 1]
    assert place_in_class(torch.zeros(0, dtype=torch.int64)).tolist() == []


def test_queue_by_hand() -> None:
    """Size 2: the third feature of class 1 takes the place of the first; of three in one step the first two stay."""
    queue = ClassQueue(2, 1, 2)
    queue.push(torch.tensor([[1.0], [2.0], [9.0]]), torch.tensor([1, 1, 2]))
    assert queue.memory.flatten()[:4].tolist() == [0, 0, 1, 2] and queue.entered.tolist() == [0, 2]
    queue.push(torch.tensor([[3.0]]), torch.tensor([1]))
    assert queue.memory.flatten()[:4].tolist() == [0, 0, 3, 2] and queue.entered.tolist() == [0, 3]
    queue.push(torch.tensor([[4.0], [5.0], [6.0]]), torch.tensor([0, 0, 0]))
    assert queue.memory.flatten()[:4].tolist() == [4, 5, 3, 2] and queue.filled.tolist() == [2, 2]


def test_queue_holds_what_a_deque_per_class_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    queue, plain = ClassQueue(4, 3, 5), [deque(maxlen=5) for _ in range(4)]
    for _ in range(30):
        rows, labels = torch.randn(12, 3, generator=generator), torch.randint(-1, 4, (12,), generator=generator)
        queue.push(rows, labels)
        for klass in range(4):
            plain[klass].extend(rows[labels == klass][:5].tolist())
        assert queue.filled.tolist() == [len(own) for own in plain]
    for klass in range(4):
        assert sorted(queue.rows[klass].tolist()) == sorted(plain[klass])
        assert torch.allclose(queue.mean()[klass], torch.tensor(list(plain[klass])).mean(0), atol=1e-6)


def test_a_class_without_rows_has_zeros() -> None:
    queue = ClassQueue(2, 1, 3)
    queue.push(torch.tensor([[5.0], [7.0]]), torch.tensor([0, 255]))
    assert queue.mean().flatten().tolist() == [5, 0]
    assert queue.draw(torch.tensor([0, 1, 0])).flatten().tolist() == [5, 0, 5]


def test_draws_reach_every_row_alike() -> None:
    queue = ClassQueue(1, 1, 8)
    queue.push(torch.arange(4.0).view(4, 1), torch.zeros(4, dtype=torch.int64))
    drawn = queue.draw(torch.zeros(20000, dtype=torch.int64), torch.Generator().manual_seed(0)).flatten().long()
    assert (torch.bincount(drawn, minlength=4) - 5000).abs().max() < 4 * (20000 * 0.25 * 0.75) ** 0.5


def test_resume_goes_on() -> None:
    generator = torch.Generator().manual_seed(0)
    steps = [(torch.randn(6, 2, generator=generator), torch.randint(0, 3, (6,), generator=generator)) for _ in range(9)]
    whole, first, second = (ClassQueue(3, 2, 4) for _ in range(3))
    for step in steps:
        whole.push(*step)
    for step in steps[:5]:
        first.push(*step)
    second.load_state_dict(first.state_dict())
    for step in steps[5:]:
        second.push(*step)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in whole.state_dict().items())


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r'rows \(P, 2\)'):
        ClassQueue(3, 2, 4).push(torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match='size'):
        ClassQueue(3, 2, 0)
