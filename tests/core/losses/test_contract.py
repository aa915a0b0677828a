"""What every loss of the room must do, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.core.losses.cases import CLASSES, LOSSES, RATIOS, SHAPES, example

each_loss = pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES.keys())
each_shape = pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES.keys())
Loss = Callable[..., Tensor]


@each_loss
@each_shape
def test_finite_float32_scalar_with_gradient(loss: Loss, shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    value = loss(pred, target)
    value.backward()
    assert value.shape == () and value.dtype == torch.float32 and torch.isfinite(value)
    assert torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0


@each_loss
@each_shape
def test_ignored_elements_have_exactly_zero_gradient(loss: Loss, shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    loss(pred, target).backward()
    ignored = (target == 255).unsqueeze(1).expand_as(pred)
    assert ignored.any() and (pred.grad[ignored] == 0).all()


@each_loss
def test_ignoring_equals_deleting(loss: Loss) -> None:
    pred, target = example((60,))
    keep = target != 255
    assert loss(pred, target).item() == pytest.approx(loss(pred[keep], target[keep]).item(), rel=1e-5)


@each_loss
@each_shape
def test_all_ignored_is_an_exact_zero_with_graph(loss: Loss, shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    value = loss(pred, torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0 and pred.grad is not None and (pred.grad == 0).all()


@each_loss
def test_no_element_at_all_is_zero_with_graph(loss: Loss) -> None:
    pred = torch.zeros(0, CLASSES, requires_grad=True)
    value = loss(pred, torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value.item() == 0 and pred.grad is not None


@each_loss
def test_foreign_target_value_is_named(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    target[0, 0, 0] = 77
    with pytest.raises(ValueError, match=r'\[77\].*ignore_index=255'):
        loss(pred, target)


@each_loss
def test_wrong_shape_and_type_of_target(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    with pytest.raises(ValueError, match='shape of the logits'):
        loss(pred, target[:, :5])
    with pytest.raises(TypeError, match='integer'):
        loss(pred, target == 1)


@each_loss
def test_another_ignore_index(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    minus_one = torch.where(target == 255, -1, target)
    assert torch.equal(loss(pred, minus_one, ignore_index=-1), loss(pred, target))


@each_loss
def test_bf16_autocast_agrees_with_float32(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    with torch.autocast('cpu', torch.bfloat16):
        inside = loss(pred, target)
        half = loss(pred.to(torch.bfloat16), target)
    assert inside.dtype == torch.float32 and half.dtype == torch.float32
    assert inside.item() == pytest.approx(loss(pred, target).item(), rel=1e-6)
    assert half.item() == pytest.approx(loss(pred, target).item(), rel=1e-2)


@each_loss
def test_duplicating_the_batch_changes_nothing(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    doubled = loss(torch.cat([pred, pred]), torch.cat([target, target]))
    assert doubled.item() == pytest.approx(loss(pred, target).item(), rel=1e-3)  # smooth of Dice counts half


@each_loss
def test_gradient_against_finite_differences(loss: Loss) -> None:
    pred, target = example((2, 3, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, target), (pred,))


@each_loss
@pytest.mark.parametrize('reduction', ['none', 'sum'])
def test_gradient_of_the_other_reductions(loss: Loss, reduction: str) -> None:
    pred, target = example((2, 3, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, target, reduction=reduction), (pred,))


@each_loss
def test_backward_twice_gives_the_same_gradient(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    value = loss(pred, target)
    first = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(value, pred)[0])


@each_loss
def test_avg_factor_is_the_divisor_and_refused_with_sum(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    total = loss(pred, target, reduction='sum')
    assert loss(pred, target, avg_factor=7.0).item() == pytest.approx(total.item() / 7, rel=1e-5)
    assert loss(pred, target, avg_factor=torch.tensor(7.0)).item() == pytest.approx(total.item() / 7, rel=1e-5)
    with pytest.raises(ValueError, match='avg_factor'):
        loss(pred, target, avg_factor=7.0, reduction='sum')


@pytest.mark.parametrize('name', [name for name in LOSSES if name not in RATIOS])
def test_doubling_a_sample_weight_doubles_its_term(name: str) -> None:
    pred, target = example((40,), ignored=0.0)
    weight = torch.ones(40)
    base = LOSSES[name](pred, target, weight=weight, reduction='none')
    weight[3] = 2.0
    changed = LOSSES[name](pred, target, weight=weight, reduction='none')
    assert torch.allclose(changed[3], 2 * base[3])
    assert torch.equal(changed[4:], base[4:])
    mean = LOSSES[name](pred, target, weight=weight) - LOSSES[name](pred, target)
    denominator = LOSSES[name](pred, target, reduction='sum') / LOSSES[name](pred, target)
    assert mean.item() == pytest.approx((base[3].sum() / denominator).item(), rel=1e-3)


@each_loss
def test_a_class_without_any_label(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    target[target == 4] = 0
    value = loss(pred, target)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()


@each_loss
def test_extreme_logits_stay_finite(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    large = (pred.detach() * 1e4).requires_grad_()
    value = loss(large, target)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(large.grad).all()


@pytest.mark.slow
@each_loss
def test_compiles_without_graph_break(loss: Loss) -> None:
    pred, target = example((2, 6, 7))
    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    value = compiled(pred, target)
    value.backward()
    expected, _ = example((2, 6, 7))
    loss(expected, target).backward()
    assert value.item() == pytest.approx(loss(pred, target).item(), rel=1e-5)
    assert torch.allclose(pred.grad, expected.grad, atol=1e-6)
