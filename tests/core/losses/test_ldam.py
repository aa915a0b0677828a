"""Label-distribution-aware margins."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import ldam_loss
from imbdense.core.losses.ldam import ldam_margins
from tests.core.losses.cases import COUNTS, WEIGHTS, example


def test_hand_example() -> None:
    """n = [10000, 16]: n^-1/4 = [.1, .5]; z = [.2, .2], s = 30, y = 1: logits [6, -9]."""
    assert ldam_margins(torch.tensor([10000.0, 16.0])).tolist() == pytest.approx([0.1, 0.5])
    pred, target = torch.full((1, 2), 0.2), torch.tensor([1])
    assert ldam_loss(pred, target, [10000, 16]).item() == pytest.approx(15.0, abs=1e-4)
    outside = ldam_loss(30 * pred, target, [10000, 16], logit_scale='outside')
    assert outside.item() == pytest.approx(15.0, abs=1e-4)


@pytest.mark.parametrize('shape', [(40,), (2, 4, 5)])
def test_against_the_formula(shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    margins = ldam_margins(COUNTS, 0.4).float()
    onehot = F.one_hot(torch.where(target == 255, 0, target), 5).movedim(-1, 1)
    lowered = pred - onehot * margins.view(1, -1, *(1,) * (len(shape) - 1))
    expected = F.cross_entropy(8 * lowered, target, weight=WEIGHTS, ignore_index=255)
    value = ldam_loss(pred, target, COUNTS, max_m=0.4, s=8.0, class_weight=WEIGHTS)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(expected, pred)[0], atol=1e-6)


def test_inside_and_outside_are_the_same_function_of_the_cosines() -> None:
    pred, target = example((40,))
    cosines = torch.tanh(pred)
    inside = ldam_loss(cosines, target, COUNTS, s=16.0)
    outside = ldam_loss(16.0 * cosines, target, COUNTS, s=16.0, logit_scale='outside')
    assert inside.item() == pytest.approx(outside.item(), rel=1e-5)


def test_without_margin_it_is_scaled_cross_entropy() -> None:
    pred, target = example((2, 4, 5))
    value = ldam_loss(pred, target, COUNTS, max_m=0.0, s=3.0)
    assert value.item() == pytest.approx(F.cross_entropy(3 * pred, target, ignore_index=255).item(), rel=1e-6)


def test_large_margins_keep_the_digits_of_a_nearly_certain_label() -> None:
    """1 - p = 1e-9 and e^(s m) = 3e6: computed from p in float32 the loss would be off by a factor."""
    pred, target = torch.tensor([[0.70, 0.0]]), torch.tensor([0])
    expected = torch.nn.functional.softplus(torch.tensor(30 * (0.5 - 0.70), dtype=torch.float64))
    assert ldam_loss(pred, target, [1, 1]).item() == pytest.approx(expected.item(), rel=1e-4)


def test_background_gets_the_mean_margin_of_the_objects() -> None:
    pred, target = torch.zeros(1, 3), torch.tensor([2])
    margins = ldam_margins(torch.tensor([10000.0, 16.0]))
    mean = (margins * torch.tensor([10000.0, 16.0])).sum() / 10016
    expected = F.cross_entropy(torch.tensor([[0.0, 0.0, -30 * mean.item()]]), target)
    assert ldam_loss(pred, target, [10000, 16]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_removed_class_has_no_part_in_the_softmax() -> None:
    pred, target = example((40,), ignored=0.0)
    target = target % 4
    masked = ldam_loss(pred, target, [5, 4, 3, 2, 0], empty_class='mask', s=4.0)
    margins = ldam_margins(torch.tensor([5.0, 4, 3, 2, 0]))[:4].float()
    lowered = 4 * (pred[:, :4] - F.one_hot(target, 4) * margins)
    assert masked.item() == pytest.approx(F.cross_entropy(lowered, target).item(), rel=1e-5)


@pytest.mark.parametrize('wrong', [{'s': 0.0}, {'max_m': -0.1}, {'logit_scale': 'beside'}])
def test_wrong_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ldam_loss(*example((5,)), COUNTS, **wrong)
