"""Lovász-softmax by bins, against the sorted form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imbdense.core.losses import binned_lovasz_loss
from tests.core.losses.cases import CLASSES, example


def sorted_reference(pred: Tensor, target: Tensor, *, present: bool = True, ignore_index: int = 255) -> Tensor:
    """One sort per class, as the paper's algorithm 1; all elements of the batch together."""
    classes = pred.shape[1]
    probability = pred.softmax(1).movedim(1, -1).reshape(-1, classes)[target.reshape(-1) != ignore_index]
    labels = target.reshape(-1)[target.reshape(-1) != ignore_index]
    terms = []
    for c in range(classes):
        own = (labels == c).to(pred.dtype)
        if present and own.sum() == 0:
            continue
        errors, order = (own - probability[:, c]).abs().sort(descending=True)
        own = own[order]
        jaccard = 1 - (own.sum() - own.cumsum(0)) / (own.sum() + (1 - own).cumsum(0))
        terms.append((errors * torch.diff(jaccard, prepend=jaccard.new_zeros(1)).detach()).sum())
    return torch.stack(terms).mean()


@pytest.mark.parametrize('present', [True, False])
@pytest.mark.parametrize('absent', [True, False])
def test_many_bins_are_the_sorted_loss(present: bool, absent: bool) -> None:
    pred, target = example((2, 9, 8), dtype=torch.float64)
    if absent:
        target[target == 3] = 0
    value = binned_lovasz_loss(pred, target, bins=1_000_000, skip_absent=present)
    expected = sorted_reference(pred, target, present=present)
    assert value.item() == pytest.approx(expected.item(), abs=1e-9)
    ours, theirs = (torch.autograd.grad(loss, pred)[0] for loss in (value, expected))
    assert torch.allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize('spread', [0.5, 1.0, 3.0])
def test_default_bins_keep_the_gradient_within_two_thousandths(spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = (spread * torch.randn(1, 19, 96, 96, generator=generator, dtype=torch.float64)).requires_grad_()
    target = torch.randint(19, (1, 96, 96), generator=generator)
    value, expected = binned_lovasz_loss(pred, target), sorted_reference(pred, target)
    ours, theirs = (torch.autograd.grad(loss, pred)[0] for loss in (value, expected))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert ((ours - theirs).norm() / theirs.norm()).item() < 2e-3


def test_agrees_with_the_host_per_image_and_per_batch() -> None:
    lovasz = pytest.importorskip('mmseg.models.losses.lovasz_loss')
    pred, target = example((3, 6, 5))
    for per, per_image in (('batch', False), ('image', True)):
        theirs = lovasz.lovasz_softmax(pred.softmax(1), target, classes='present', per_image=per_image,
                                       ignore_index=255, reduction='mean')
        ours = binned_lovasz_loss(pred, target, per=per, bins=100_000)
        assert ours.item() == pytest.approx(theirs.mean().item(), rel=1e-5)


def test_hand_example() -> None:
    """Two classes, p_1 = .8 for the only element of class 1 and .4 for the only one of class 0. Class 1: errors .4
    (background, enters first: J = 1 - 1/2 = .5) and .2 (foreground: J = 1, adds .5) -> .4 * .5 + .2 * .5 = .3. Class 0
    has errors .4 (its own element first: J = 1) and .2 (adds 0) -> .4. Mean .35."""
    pred = torch.tensor([[0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    pred[:, 1] = torch.logit(torch.tensor([0.8, 0.4], dtype=torch.float64))
    assert binned_lovasz_loss(pred, torch.tensor([1, 0])).item() == pytest.approx(0.35, abs=1e-12)


def test_gradient_inside_the_bins() -> None:
    pred, target = example((2, 3, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: binned_lovasz_loss(z, target), (pred,), eps=1e-8, atol=1e-5)


def test_mass_two_is_the_element_twice() -> None:
    pred, target = example((1, 4, 4), ignored=0.0, dtype=torch.float64)
    flat, labels = pred.detach().flatten(2)[0].t(), target.flatten()
    weight = torch.ones(16)
    weight[:5] = 2
    doubled = torch.cat([flat, flat[:5]]), torch.cat([labels, labels[:5]])
    assert binned_lovasz_loss(flat, labels, weight=weight).item() == pytest.approx(
        binned_lovasz_loss(*doubled).item(), rel=1e-9)


def test_perfect_prediction_is_zero_and_background_only_costs_every_class_it_misses() -> None:
    target = torch.randint(0, CLASSES, (1, 8, 8))
    perfect = 200.0 * torch.nn.functional.one_hot(target, CLASSES).movedim(-1, 1).float()
    assert binned_lovasz_loss(perfect, target).item() == pytest.approx(0.0, abs=1e-6)
    nothing = torch.zeros(1, CLASSES, 8, 8)
    nothing[:, 0] = 200.0
    share = (target == 0).float().mean().item()
    assert binned_lovasz_loss(nothing, target).item() == pytest.approx((CLASSES - share) / CLASSES, abs=1e-5)


def test_bins_must_be_two_or_more() -> None:
    pred, target = example((1, 2, 2))
    with pytest.raises(ValueError, match='bins'):
        binned_lovasz_loss(pred, target, bins=1)
