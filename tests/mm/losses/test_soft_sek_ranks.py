"""SoftSeK over two ranks: the gradient of one process with the whole batch."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

pytest.importorskip('mmengine')

from imbdense.mm.losses.joint_change import ChangeCall
from imbdense.mm.losses.soft_sek import SoftSeKLoss
from tests.core.losses.change_cases import change_example
from tests.helpers.two_ranks import run_two_ranks


def batch() -> ChangeCall:
    """Four pairs."""
    change_logits, land_logits, change, lands = change_example(shape=(4, 6, 5))
    return ChangeCall(change_logits, land_logits, change, lands)


def half_of_a_rank() -> dict[bool, tuple[float, list[torch.Tensor]]]:
    """With and without ``sync``: the loss of this rank's two pairs, and the gradients as DDP averages them."""
    whole, own, found = batch(), slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2), {}
    for sync in (True, False):
        part = ChangeCall(whole.change_logits[own], [z[own] for z in whole.semantic_logits], whole.change[own],
                          [y[own] for y in whole.semantics])  # fmt: skip
        loss = SoftSeKLoss(sync=sync)(part)
        gradients = list(torch.autograd.grad(loss, [whole.change_logits, *whole.semantic_logits]))
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient /= dist.get_world_size()
        found[sync] = loss.item(), gradients
    return found


def test_two_ranks_have_the_gradient_of_one_process() -> None:
    whole = batch()
    loss = SoftSeKLoss()(whole)
    expected = torch.autograd.grad(loss, [whole.change_logits, *whole.semantic_logits])
    for found in run_two_ranks(half_of_a_rank):
        value, gradients = found[True]
        assert value == pytest.approx(loss.item(), abs=1e-6)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients, expected))
        assert not all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found[False][1], expected))
