"""The softmax engine against F.cross_entropy and against a slow reference."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import shifted_cross_entropy
from imbdense.core.losses.cross_entropy import softmax_nll
from tests.core.losses.cases import CLASSES, WEIGHTS, example


def slow_reference(pred, target, shift, weights, normalizer):
    """Python loops over elements and classes."""
    rows = pred.movedim(1, -1).reshape(-1, CLASSES).tolist()
    labels = target.reshape(-1).tolist()
    numerator, mass, valid = 0.0, 0.0, 0
    for row, label in zip(rows, labels, strict=True):
        if label == 255:
            continue
        exponentials = [math.exp(value + shift[c]) for c, value in enumerate(row)]
        numerator -= weights[label] * math.log(exponentials[label] / sum(exponentials))
        mass += weights[label]
        valid += 1
    return numerator / {'weight_sum': mass, 'valid': valid, 'all': len(labels)}[normalizer]


@pytest.mark.parametrize('normalizer', ['weight_sum', 'valid', 'all'])
def test_agrees_with_the_slow_reference(normalizer: str) -> None:
    pred, target = example((2, 4, 5))
    shift = torch.tensor([0.3, -1.0, 2.0, 0.0, -0.5])
    value = shifted_cross_entropy(pred, target, shift=shift, class_weight=WEIGHTS, normalizer=normalizer)
    expected = slow_reference(pred.detach(), target, shift.tolist(), WEIGHTS.tolist(), normalizer)
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_without_shift_it_is_torch_cross_entropy_value_and_gradient(weights: torch.Tensor | None) -> None:
    pred, target = example((2, 4, 5))
    ours = shifted_cross_entropy(pred, target, class_weight=weights)
    theirs = F.cross_entropy(pred, target, weight=weights, ignore_index=255)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    mine, = torch.autograd.grad(ours, pred)
    other, = torch.autograd.grad(theirs, pred)
    assert torch.allclose(mine, other, atol=1e-7)


def test_soft_targets_equal_hard_ones_when_one_hot_and_torch_when_mixed() -> None:
    pred, target = example((2, 4, 5), ignored=0.0)
    soft = F.one_hot(target, CLASSES).movedim(-1, 1).float()
    hard_value = shifted_cross_entropy(pred, target, class_weight=WEIGHTS)
    assert shifted_cross_entropy(pred, soft, class_weight=WEIGHTS).item() == pytest.approx(hard_value.item(), rel=1e-5)
    mixed = soft * 0.9 + 0.1 / CLASSES
    ours = shifted_cross_entropy(pred, mixed, class_weight=WEIGHTS, normalizer='valid')
    theirs = F.cross_entropy(pred, mixed, weight=WEIGHTS)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    with pytest.raises(ValueError, match='soft targets'):
        shifted_cross_entropy(pred, mixed[:, :3])


def test_background_as_last_channel_is_an_ordinary_class_of_the_softmax() -> None:
    """RoIs: target C is the background channel of C + 1 logits."""
    generator = torch.Generator().manual_seed(1)
    pred = torch.randn(30, CLASSES + 1, generator=generator)
    target = torch.randint(0, CLASSES + 1, (30,), generator=generator)
    value = shifted_cross_entropy(pred, target, ignore_index=-1, avg_factor=30)
    assert value.item() == pytest.approx(F.cross_entropy(pred, target).item(), rel=1e-6)


def test_speed_and_memory_layout_do_not_matter() -> None:
    pred, target = example((2, 4, 5))
    strided = pred.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert shifted_cross_entropy(strided, target).item() == pytest.approx(
        shifted_cross_entropy(pred, target).item(), rel=1e-6
    )


def test_scale_shift_and_margin_of_the_shared_map_against_the_formula() -> None:
    pred, target = example((2, 4, 5))
    generator = torch.Generator().manual_seed(4)
    scale, shift, own = (torch.rand(CLASSES, generator=generator) + 0.5 for _ in range(3))
    view = (1, -1, 1, 1)
    safe = torch.where(target == 255, 0, target)
    onehot = F.one_hot(safe, CLASSES).movedim(-1, 1)
    changed = pred * scale.view(view) + shift.view(view) + onehot * own.view(view)
    expected = F.cross_entropy(changed, target, ignore_index=255, reduction='none')
    nll, _, valid = softmax_nll(pred, target, scale=scale, shift=shift, own_shift=own)
    assert torch.allclose(nll, expected, atol=1e-6) and torch.equal(valid, target != 255)
    wanted = torch.autograd.grad(expected.square().sum(), pred)[0]
    assert torch.allclose(torch.autograd.grad(nll.square().sum(), pred)[0], wanted, atol=1e-5)


def test_noise_of_the_shape_of_the_logits_shifts_them_and_its_memory_is_used() -> None:
    pred, target = example((2, 4, 5))
    noise = torch.rand(pred.shape, generator=torch.Generator().manual_seed(5))
    expected = F.cross_entropy(pred + noise, target, ignore_index=255, reduction='none')
    assert torch.allclose(softmax_nll(pred, target, shift=noise)[0], expected, atol=1e-6)
