"""Dice per class."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import per_class_dice_loss
from tests.core.losses.cases import CLASSES, example

CERTAIN = 100.0


def one_hot_logits(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Logits that predict ``labels`` with certainty."""
    return CERTAIN * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float()


def slow_reference(pred, target, squared, smooth, skip_absent):
    """Loops over classes on one flat batch."""
    probability = pred.softmax(1).movedim(1, -1).reshape(-1, CLASSES)
    labels = target.reshape(-1)
    probability, labels = probability[labels != 255], labels[labels != 255]
    terms = []
    for c in range(CLASSES):
        own = (labels == c).float()
        if skip_absent and own.sum() == 0:
            continue
        p = probability[:, c]
        denominator = (p**2 if squared else p).sum() + own.sum() + smooth
        terms.append(1 - (2 * (p * own).sum() + smooth) / denominator)
    return torch.stack(terms).mean().item()


@pytest.mark.parametrize('squared', [False, True])
@pytest.mark.parametrize('skip_absent', [False, True])
def test_agrees_with_the_slow_reference(squared: bool, skip_absent: bool) -> None:
    pred, target = example((2, 6, 7))
    target[target == 2] = 0
    value = per_class_dice_loss(pred, target, squared=squared, skip_absent=skip_absent, smooth=0.5)
    assert value.item() == pytest.approx(slow_reference(pred, target, squared, 0.5, skip_absent), rel=1e-5)


def test_background_everywhere_costs_half_not_a_thousandth() -> None:
    """1000 pixels, one of the rare class, background predicted: Dice 2000 / 1999+... and 0 -> loss 0.5002."""
    target = torch.zeros(1, 25, 40, dtype=torch.long)
    target[0, 3, 4] = 1
    pred = one_hot_logits(torch.zeros_like(target), 2)
    assert per_class_dice_loss(pred, target).item() == pytest.approx(0.5, abs=2e-3)
    assert per_class_dice_loss(pred, target, include_background=False).item() == pytest.approx(1.0, abs=2e-3)


def test_the_host_pools_classes_and_counts_ignored_pixels() -> None:
    """Regression of the trap: mmseg's DiceLoss gives 0.001 on the same input."""
    mmseg_losses = pytest.importorskip('mmseg.models.losses')
    target = torch.zeros(1, 25, 40, dtype=torch.long)
    target[0, 3, 4] = 1
    pred = one_hot_logits(torch.zeros_like(target), 2)
    theirs = mmseg_losses.DiceLoss(use_sigmoid=False)(pred, target).item()
    assert theirs < 0.01 < 0.4 < per_class_dice_loss(pred, target).item()


def test_perfect_prediction_costs_nothing_even_with_wrong_ignored_pixels() -> None:
    target = torch.arange(24).reshape(1, 4, 6) % CLASSES
    pred = one_hot_logits(target, CLASSES)
    target[0, 0] = 255
    pred[0, :, 0] = pred[0, :, 0].flip(0)
    assert per_class_dice_loss(pred, target).item() == pytest.approx(0.0, abs=1e-5)


def test_absent_classes_are_left_out_or_punished() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    pred = torch.zeros(1, 3, 4, 4)
    left_out = per_class_dice_loss(pred, target, reduction='none')
    assert left_out.shape == (3,) and left_out[0] > 0 and (left_out[1:] == 0).all()
    punished = per_class_dice_loss(pred, target, skip_absent=False, reduction='none')
    assert (punished[1:] > 0.99).all()


def test_per_image_is_the_mean_over_images_of_the_single_image_losses() -> None:
    pred, target = example((3, 6, 7))
    target[2] = 255  # an image without a valid pixel takes no part
    single = [per_class_dice_loss(pred[i : i + 1], target[i : i + 1]).item() for i in range(2)]
    assert per_class_dice_loss(pred, target, per='image').item() == pytest.approx(sum(single) / 2, rel=1e-5)
    assert per_class_dice_loss(pred, target, per='image', reduction='none').shape == (3, CLASSES)


def test_points_are_one_image() -> None:
    pred, target = example((40,))
    image = per_class_dice_loss(pred.t().reshape(1, CLASSES, 5, 8), target.reshape(1, 5, 8))
    for per in ('batch', 'image'):
        assert per_class_dice_loss(pred, target, per=per).item() == pytest.approx(image.item(), rel=1e-5)


def test_class_weights_and_pixel_weights() -> None:
    pred, target = example((2, 6, 7))
    terms = per_class_dice_loss(pred, target, reduction='none')
    weights = torch.tensor([1.0, 0.0, 2.0, 0.0, 1.0])
    expected = (weights * terms).sum() / weights.sum()
    assert per_class_dice_loss(pred, target, class_weight=weights).item() == pytest.approx(expected.item(), rel=1e-5)
    as_ignore = torch.where(target == 1, 255, target)
    zero_weight = per_class_dice_loss(pred, target, weight=(target != 1).float())
    assert zero_weight.item() == pytest.approx(per_class_dice_loss(pred, as_ignore).item(), rel=1e-5)
