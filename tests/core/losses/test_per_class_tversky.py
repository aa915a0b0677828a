"""Tversky and focal Tversky per class."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import per_class_dice_loss, per_class_tversky_loss
from tests.core.losses.cases import CLASSES, example


def slow_reference(pred, target, fp_weight, fn_weight, gamma, smooth):
    """Loops over classes and elements."""
    probability = pred.softmax(1).movedim(1, -1).reshape(-1, CLASSES)
    labels = target.reshape(-1)
    terms = []
    for c in range(CLASSES):
        tp = fp = fn = 0.0
        for p, y in zip(probability[:, c].tolist(), labels.tolist(), strict=True):
            if y == 255:
                continue
            tp, fp, fn = (tp + p, fp, fn + 1 - p) if y == c else (tp, fp + p, fn)
        if tp + fn > 0:
            terms.append((1 - (tp + smooth) / (tp + fp_weight * fp + fn_weight * fn + smooth)) ** gamma)
    return sum(terms) / len(terms)


@pytest.mark.parametrize(('fp_weight', 'fn_weight', 'gamma'), [(0.3, 0.7, 1.0), (0.7, 0.3, 0.75), (1, 1, 2)])
def test_agrees_with_the_slow_reference(fp_weight: float, fn_weight: float, gamma: float) -> None:
    pred, target = example((2, 6, 7))
    value = per_class_tversky_loss(
        pred, target, fp_weight=fp_weight, fn_weight=fn_weight, gamma=gamma, smooth=0.5)
    expected = slow_reference(pred, target, fp_weight, fn_weight, gamma, 0.5)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_hand_example() -> None:
    """p = (.8, .6, .2), y = (1, 0, 0): TP .8, FP .8, FN .2 -> 1 - .8 / (.8 + .24 + .14) = .322034; ** .75 = .427."""
    pred = torch.logit(torch.tensor([[0.8], [0.6], [0.2]], dtype=torch.float64))
    pred = torch.cat([torch.zeros_like(pred), pred], 1)
    target = torch.tensor([1, 0, 0])
    options = {'use_sigmoid': True, 'include_background': False, 'smooth': 1e-12}
    assert per_class_tversky_loss(pred, target, **options).item() == pytest.approx(0.322034, abs=1e-6)
    assert per_class_tversky_loss(pred, target, gamma=0.75, **options).item() == pytest.approx(0.427, abs=6e-4)


def test_half_and_half_is_dice() -> None:
    pred, target = example((2, 6, 7))
    tversky = per_class_tversky_loss(pred, target, fp_weight=0.5, fn_weight=0.5, smooth=0.5)
    assert tversky.item() == pytest.approx(per_class_dice_loss(pred, target, smooth=1.0).item(), rel=1e-6)


def test_gradient() -> None:
    pred, target = example((2, 3, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: per_class_tversky_loss(z, target, gamma=0.75), (pred,))


def test_perfect_prediction_has_a_finite_gradient_in_the_focal_form() -> None:
    target = torch.randint(0, 3, (1, 4, 4))
    pred = (200.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()).requires_grad_()
    per_class_tversky_loss(pred, target, gamma=0.75).backward()
    assert torch.isfinite(pred.grad).all()


def test_a_dearer_miss_pushes_the_rare_class_harder() -> None:
    """One rare pixel of 100, all p = .5: its pull / the push of another = (D / TP - 1 + fn_weight) / fp_weight
    with TP = FN = .5, FP = 49.5, D = TP + fp_weight FP + fn_weight FN."""
    target = torch.zeros(1, 10, 10, dtype=torch.long)
    target[0, 0, 0] = 1
    for fn_weight in (0.3, 0.5, 0.7):
        fp_weight = 1 - fn_weight
        pred = torch.zeros(1, 2, 10, 10, requires_grad=True)
        per_class_tversky_loss(
            pred, target, fp_weight=fp_weight, fn_weight=fn_weight, include_background=False, smooth=1e-9
        ).backward()
        ratio = pred.grad[0, 1, 0, 0].abs().item() / pred.grad[0, 1, 5, 5].abs().item()
        denominator = 0.5 + fp_weight * 49.5 + fn_weight * 0.5
        assert ratio == pytest.approx((denominator / 0.5 - 1 + fn_weight) / fp_weight, rel=1e-4)


def test_wrong_numbers_are_named() -> None:
    pred, target = example((1, 2, 2))
    with pytest.raises(ValueError, match='fn_weight'):
        per_class_tversky_loss(pred, target, fn_weight=-1)
    with pytest.raises(ValueError, match='gamma'):
        per_class_tversky_loss(pred, target, gamma=0)
