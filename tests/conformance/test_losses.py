"""Every registered loss, on every task it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.conformance.walk import COUNTS, build, loss_inputs, loss_variants, losses, roi_channels, takes

CASES = [
    pytest.param(cls, arguments, task, id=f'{name}-{task}-{"counts" if arguments else "plain"}')
    for name, cls in losses().items()
    for arguments in loss_variants(cls)
    for task in loss_inputs(cls)
]
each = pytest.mark.parametrize(('cls', 'arguments', 'task'), CASES)


def call(loss: Any, task: str, pred: torch.Tensor, target: torch.Tensor, ignore: int, **options: Any) -> torch.Tensor:
    """As the heads call: segmentation and points pass ignore_index, box heads ask for the channels first.

    A loss that draws at random draws the same in every call. One that wants the classifier's features gets the logits.
    """
    torch.manual_seed(0)
    if hasattr(loss, 'take_features'):
        loss.take_features(pred)
    if task == 'detection':
        roi_channels(loss)
    else:
        options['ignore_index'] = ignore
    return loss(pred, target, **options)


def test_there_is_something_to_walk() -> None:
    assert {'BalancedSoftmaxLoss', 'LogitAdjustLoss', 'PerClassDiceLoss', 'ReweightedCELoss'} <= set(losses())


@each
def test_finite_and_differentiable(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    value = call(build(cls, **arguments), task, pred, target, ignore)
    value.backward()
    assert value.ndim == 0 and value.dtype == torch.float32 and torch.isfinite(value)
    assert torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0


@each
def test_all_ignored_is_zero_with_graph(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    value = call(build(cls, **arguments), task, pred, torch.full_like(target, ignore), ignore)
    value.backward()
    assert value.item() == 0 and pred.grad is not None and (pred.grad == 0).all()


@each
def test_ignored_elements_get_no_gradient(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    call(build(cls, **arguments), task, pred, target, ignore).backward()
    assert (pred.grad.movedim(1, -1)[target == ignore] == 0).all()


@each
def test_a_class_absent_from_the_batch(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, classes = loss_inputs(cls)[task]
    target[target == classes - 1] = 0
    value = call(build(cls, **arguments), task, pred, target, ignore)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()


@each
def test_permuting_the_classes_permutes_the_gradient(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, classes = loss_inputs(cls)[task]
    order = torch.tensor([3, 0, 4, 2, 1])
    channels = torch.cat([order, torch.arange(classes, pred.shape[1])])  # the background stays last
    moved = target.clone()
    for new, old in enumerate(order.tolist()):
        moved[target == old] = new
    shuffled = pred.detach()[:, channels].requires_grad_()
    permuted = {'class_counts': [COUNTS[i] for i in order.tolist()]} if arguments else {}
    draws = getattr(cls, 'randomised', False)  # what is drawn for a class does not move along with it
    first = call(build(cls, **arguments).train(not draws), task, pred, target, ignore)
    second = call(build(cls, **permuted).train(not draws), task, shuffled, moved, ignore)
    assert second.item() == pytest.approx(first.item(), rel=1e-5)
    first.backward()
    second.backward()
    assert torch.allclose(shuffled.grad, pred.grad[:, channels], atol=1e-6)


@each
def test_bf16_autocast(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    exact = call(build(cls, **arguments), task, pred, target, ignore).item()
    with torch.autocast('cpu', torch.bfloat16):
        inside = call(build(cls, **arguments), task, pred, target, ignore)
        half = call(build(cls, **arguments), task, pred.to(torch.bfloat16), target, ignore)
    assert inside.item() == pytest.approx(exact, rel=1e-3) and half.item() == pytest.approx(exact, rel=1e-2)


@each
def test_state_dict_round_trip(cls: type, arguments: dict[str, Any], task: str) -> None:
    loss = build(cls, **arguments)
    pred, target, ignore, _ = loss_inputs(cls)[task]
    call(loss, task, pred, target, ignore)
    copy = build(cls, **arguments)
    copy.load_state_dict(loss.state_dict(), strict=True)
    pred, target, ignore, _ = loss_inputs(cls, seed=1)[task]
    assert torch.equal(call(copy, task, pred, target, ignore), call(loss, task, pred, target, ignore))


@each
def test_loss_weight_and_avg_factor_are_exact(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    single = build(cls, **arguments, loss_weight=1.0)
    total = call(single, task, pred, target, ignore, reduction_override='sum').item()
    tripled = build(cls, **arguments, loss_weight=3.0)
    value = call(tripled, task, pred, target, ignore, avg_factor=7.0)
    assert value.item() == pytest.approx(3.0 * total / 7.0, rel=1e-5)


@each
def test_sample_weights_zero_equals_ignored(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    weight = torch.ones(target.shape)
    weight[:1] = 0
    hidden = target.clone()
    hidden[:1] = ignore
    loss, other = build(cls, **arguments).eval(), build(cls, **arguments).eval()
    zero = call(loss, task, pred, target, ignore, weight=weight, reduction_override='sum')
    ignored = call(other, task, pred, hidden, ignore, reduction_override='sum')
    assert zero.item() == pytest.approx(ignored.item(), rel=1e-5)


@each
def test_foreign_label_is_named(cls: type, arguments: dict[str, Any], task: str) -> None:
    pred, target, ignore, _ = loss_inputs(cls)[task]
    target.view(-1)[0] = 99
    with pytest.raises(ValueError, match='99'):
        call(build(cls, **arguments), task, pred, target, ignore)


@pytest.mark.parametrize('cls', losses().values(), ids=losses().keys())
def test_name_is_optimised_by_mmengine(cls: type) -> None:
    assert 'loss' in build(cls).loss_name
    assert takes(cls, 'loss_weight') and takes(cls, 'loss_name') and takes(cls, 'ignore_index')
