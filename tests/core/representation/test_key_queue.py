"""The queue of keys: order, wrap-around, long pushes, state, two ranks."""

from __future__ import annotations

from collections import deque

import pytest
import torch

from imbdense.core.representation import KeyQueue
from imbdense.core.stats import gather_over_ranks
from tests.helpers.two_ranks import run_two_ranks


def rows(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None].expand(-1, 2)


def test_wrap_around_by_hand() -> None:
    """Room for 5: 1 2 3, then 4 5 6 7 overwrite the oldest."""
    queue = KeyQueue(2, 5)
    first = queue.keys.clone()
    queue.push(rows(1, 2, 3))
    assert queue.keys[:3, 0].tolist() == [1, 2, 3] and torch.equal(queue.keys[3:], first[3:])
    queue.push(rows(4, 5, 6, 7))
    assert queue.keys[:, 0].tolist() == [6, 7, 3, 4, 5] and int(queue.entered) == 7


@pytest.mark.parametrize('size', [1, 4, 7])
def test_against_a_deque(size: int) -> None:
    torch.manual_seed(0)
    queue, slow = KeyQueue(3, size), deque(maxlen=size)
    for number in (3, 0, 5, 9, 1, 2, 20):
        new = torch.randn(number, 3)
        queue.push(new)
        slow.extend(new)
    expected = torch.stack(sorted(slow, key=lambda row: float(row[0])))
    assert torch.equal(queue.keys[queue.keys[:, 0].argsort()], expected)


def test_it_begins_with_unit_vectors_that_are_always_the_same() -> None:
    torch.manual_seed(5)
    one = KeyQueue(8, 6)
    torch.manual_seed(6)
    assert torch.equal(one.keys, KeyQueue(8, 6).keys)
    assert torch.allclose(one.keys.norm(dim=1), torch.ones(6))


def test_a_loss_may_be_differentiated_after_a_push() -> None:
    queue, query = KeyQueue(2, 4), torch.randn(3, 2, requires_grad=True)
    loss = (query @ queue.snapshot().T).sum()
    queue.push(rows(9, 9))
    loss.backward()
    assert torch.isfinite(query.grad).all()


def test_state_goes_on_where_it_was() -> None:
    one, two = KeyQueue(2, 3), KeyQueue(2, 3)
    one.push(rows(1, 2))
    two.load_state_dict(one.state_dict())
    for queue in (one, two):
        queue.push(rows(3, 4))
    assert torch.equal(one.keys, two.keys) and two.keys[:, 0].tolist() == [4, 2, 3]


def test_wrong_rows_are_named() -> None:
    with pytest.raises(ValueError, match=r'\(P, 2\)'):
        KeyQueue(2, 3).push(torch.zeros(2, 3))


def _queue_of_rank() -> torch.Tensor:
    import torch.distributed as dist

    queue = KeyQueue(2, 5)
    for step in range(3):
        queue.push(*gather_over_ranks(rows(10.0 * step + dist.get_rank())))
    return queue.keys


def test_gathered_keys_make_equal_queues() -> None:
    one, two = run_two_ranks(_queue_of_rank)
    assert torch.equal(one, two)
    assert one[:, 0].tolist() == [21, 1, 10, 11, 20]
