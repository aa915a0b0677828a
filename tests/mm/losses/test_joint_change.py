"""Every registered joint loss keeps the protocol; SoftSeK over time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.mm.losses.joint_change import ChangeCall, JointChangeLoss
from imbdense.registry import MODELS
from tests.conformance.walk import losses
from tests.core.losses.change_cases import CLASSES, change_example

JOINT = {name: cls for name, cls in losses().items() if issubclass(cls, JointChangeLoss)}
each = pytest.mark.parametrize('cls', JOINT.values(), ids=JOINT.keys())


def call(seed: int = 0, dead: bool = True, **options: Any) -> ChangeCall:
    """A batch; ``dead`` = with a channel for "unchanged"."""
    change_logits, land_logits, change, lands = change_example(channels=CLASSES + dead, seed=seed, **options)
    return ChangeCall(change_logits, land_logits, change, lands, unchanged_channel=dead)


def test_there_is_something_to_walk() -> None:
    assert {'SoftSeKLoss', 'OfficialSeKLoss', 'UnchangedConsistencyLoss'} <= set(JOINT)


@each
def test_finite_scaled_and_differentiable(cls: type) -> None:
    batch = call(ignored=0.0)
    single, tripled = cls(loss_weight=1.0)(batch), cls(loss_weight=3.0)(batch)
    assert single.ndim == 0 and single.dtype == torch.float32 and tripled.item() == pytest.approx(3 * single.item())
    gradients = torch.autograd.grad(single, list(batch.semantic_logits))
    assert torch.isfinite(single) and all(torch.isfinite(g).all() for g in gradients)


@each
def test_nothing_labelled_is_zero_with_a_graph(cls: type) -> None:
    batch = call()
    batch.change.fill_(255)
    loss = cls()(batch)
    loss.backward()
    assert loss == 0 and (batch.semantic_logits[0].grad == 0).all()


@each
def test_bf16_autocast_is_exact(cls: type) -> None:
    exact = cls()(call())
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(cls()(call()), exact)


@each
def test_starts_late_and_resumes(cls: type) -> None:
    loss, batch = cls(start_iter=2), call()
    first, second = loss(batch), loss(batch)
    copy = cls(start_iter=2)
    copy.load_state_dict(loss.state_dict())
    assert first == second == 0 and first.requires_grad
    assert copy(batch).item() == pytest.approx(cls()(batch).item())
    assert cls(start_iter=2).eval()(batch) != 0


@each
def test_wrong_arguments_are_told(cls: type) -> None:
    with pytest.raises(ValueError, match="must contain 'loss'"):
        cls(loss_name='sek')
    with pytest.raises(ValueError, match='loss_weight'):
        cls(loss_weight=-1.0)


def test_the_dead_channel_does_not_count_for_soft_sek() -> None:
    with_dead = call()
    without = ChangeCall(with_dead.change_logits, [z[:, 1:] for z in with_dead.semantic_logits], with_dead.change,
                         with_dead.semantics)  # fmt: skip
    loss = MODELS.build({'type': 'imbdense.SoftSeKLoss'})
    assert torch.equal(loss(with_dead), loss(without))
    with pytest.raises(ValueError, match='unchanged_channel=True'):
        MODELS.build({'type': 'imbdense.OfficialSeKLoss'})(without)


def test_memory_of_earlier_batches() -> None:
    """Q = .1 Q_batch + .9 Q_before; the first batch is its own past; evaluation remembers nothing."""
    from imbdense.core.losses import soft_sek_from_table, soft_sek_table

    loss = JOINT['SoftSeKLoss'](ema=0.9)
    first, second = call(0, dead=False), call(1, dead=False)
    tables = [soft_sek_table(b.change_logits, b.land_logits, b.change, b.semantics) for b in (first, second)]
    assert loss(first).item() == pytest.approx(soft_sek_from_table(tables[0]).item(), abs=1e-6)
    mixed = 0.1 * tables[1] + 0.9 * tables[0].detach()
    value = loss(second)
    assert value.item() == pytest.approx(soft_sek_from_table(mixed).item(), abs=1e-6)
    assert torch.allclose(loss.ema_table, mixed) and not loss.ema_table.requires_grad
    copy = JOINT['SoftSeKLoss'](ema=0.9)
    copy.load_state_dict(loss.state_dict())
    assert torch.equal(copy.ema_table, loss.ema_table)
    assert copy.eval()(first).item() == pytest.approx(soft_sek_from_table(tables[0]).item(), abs=1e-6)
    wider = [torch.randn(2, 6, 6, 5)] * 2
    other = ChangeCall(first.change_logits, wider, first.change, first.semantics)
    assert copy.train()(other) > 0 and copy.ema_table.shape == (7, 7)
