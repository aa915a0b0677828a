"""Seesaw loss: softmax, sigmoid and objectness form."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import (
    seesaw_loss,
    seesaw_objectness_loss,
    seesaw_scores,
    shifted_cross_entropy,
    shifted_sigmoid_loss,
)
from tests.core.losses.cases import CLASSES, COUNTS, example


def slow_factor(score: torch.Tensor, y: int, j: int, counts: torch.Tensor, p: float, q: float) -> float:
    """M_yj * C_yj of one element, as in the paper."""
    if j == y:
        return 1.0
    own, other = max(float(counts[y]), 1.0), max(float(counts[j]), 1.0)
    mitigation = (other / own) ** p if other < own else 1.0
    ratio = float(score[j]) / max(float(score[y]), 0.01)
    return mitigation * (ratio**q if ratio > 1 else 1.0)


def test_hand_examples() -> None:
    """n = [100, 10], q = 0: of the frequent class the rare one is lowered, M = .1^.8 = .15849; not the reverse."""
    pred, counts = torch.zeros(1, 2), torch.tensor([100.0, 10.0])
    assert seesaw_loss(pred, torch.tensor([0]), counts, q=0).item() == pytest.approx(0.14712, abs=1e-5)
    assert seesaw_loss(pred, torch.tensor([1]), counts, q=0).item() == pytest.approx(0.69315, abs=1e-5)
    wrong = torch.tensor([[math.log(3.0), 0.0]])  # scores .75 / .25, label 1: C = 9, loss log(1 + 9 * 3)
    assert seesaw_loss(wrong, torch.tensor([1]), counts, p=0).item() == pytest.approx(math.log(28.0), abs=1e-5)


@pytest.mark.parametrize(('p', 'q'), [(0.8, 2.0), (0.0, 2.0), (1.5, 0.0)])
def test_against_the_formula_element_by_element(p: float, q: float) -> None:
    pred, target = example((50,), ignored=0.0, dtype=torch.float64)
    pred = (4 * pred).detach()
    counts = torch.tensor([900.0, 0.0, 30.0, 9.0, 1.0])
    found = seesaw_loss(pred, target, counts, p=p, q=q, reduction='none')
    for z, y, value in zip(pred, target.tolist(), found, strict=True):
        score = z.softmax(0)
        terms = [slow_factor(score, y, j, counts, p, q) * math.exp(z[j]) for j in range(CLASSES)]
        assert value.item() == pytest.approx(-math.log(math.exp(z[y]) / sum(terms)), rel=1e-4)


def test_both_exponents_zero_or_balanced_counts_without_compensation_are_cross_entropy() -> None:
    pred, target = example((2, 6, 7))
    plain = F.cross_entropy(pred, target, ignore_index=255).item()
    assert seesaw_loss(pred, target, COUNTS, p=0, q=0).item() == pytest.approx(plain, rel=1e-6)
    assert seesaw_loss(pred, target, torch.full((5,), 7.0), q=0).item() == pytest.approx(plain, rel=1e-6)


def test_the_factors_are_constants_of_the_gradient() -> None:
    pred, target = example((30,), ignored=0.2)
    seesaw_loss(3 * pred, target, COUNTS).backward()
    raised = pred.detach().clone().requires_grad_()
    logits = 3 * raised
    factors = torch.zeros_like(logits)
    for i, y in enumerate(target.tolist()):
        if y != 255:
            score = logits[i].detach().softmax(0)
            factors[i] = torch.tensor([math.log(slow_factor(score, y, j, COUNTS, 0.8, 2.0)) for j in range(CLASSES)])
    shifted_cross_entropy(logits + factors, target).backward()
    assert torch.allclose(pred.grad, raised.grad, atol=1e-6)


def test_pixels_equal_points() -> None:
    pred, target = example((2, 6, 7))
    points = seesaw_loss(pred.movedim(1, -1).reshape(-1, CLASSES), target.reshape(-1), COUNTS)
    assert seesaw_loss(pred, target, COUNTS).item() == pytest.approx(points.item(), rel=1e-6)


def test_no_object_is_left_alone() -> None:
    """One channel more than counts: background elements see plain cross-entropy, objects do not raise its logit."""
    generator = torch.Generator().manual_seed(0)
    pred = 3 * torch.randn(60, CLASSES + 1, generator=generator)
    target = torch.randint(0, CLASSES + 1, (60,), generator=generator)
    loss = seesaw_loss(pred, target, COUNTS, ignore_index=-1, reduction='none')
    plain = F.cross_entropy(pred, target, reduction='none')
    assert torch.allclose(loss[target == CLASSES], plain[target == CLASSES])
    for z, y, value in zip(pred, target.tolist(), loss, strict=True):
        if y < CLASSES:
            score = z.softmax(0)
            total = sum(slow_factor(score, y, j, COUNTS, 0.8, 2.0) * math.exp(z[j]) for j in range(CLASSES))
            assert value.item() == pytest.approx(-math.log(math.exp(z[y]) / (total + math.exp(z[CLASSES]))), rel=1e-4)


def test_sigmoid_form_lowers_negatives_of_objects_only() -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(60, CLASSES, generator=generator)
    target = torch.randint(0, CLASSES + 1, (60,), generator=generator)
    options = {'ignore_index': -1, 'reduction': 'none'}
    found = seesaw_loss(pred, target, COUNTS, q=0.0, use_sigmoid=True, **options)
    plain = shifted_sigmoid_loss(pred, target, **options)
    assert torch.allclose(found[target == CLASSES], plain[target == CLASSES])
    frequent = target == 0  # all others are rarer than class 0: their negatives count less, its own term stays
    assert torch.allclose(found[frequent, 0], plain[frequent, 0])
    assert (found[frequent, 1:] < plain[frequent, 1:]).all()
    rarest = target == 4
    assert torch.allclose(found[rarest], plain[rarest])


def rois(count: int = 80, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(count, CLASSES + 2, generator=generator)
    target = torch.randint(0, CLASSES + 1, (count,), generator=generator)
    target[torch.rand(count, generator=generator) < 0.5] = CLASSES
    return pred.requires_grad_(), target


@pytest.mark.parametrize('divisor', ['objects', 'all'])
def test_objectness_form_term_by_term(divisor: str) -> None:
    pred, target = rois()
    is_object = target < CLASSES
    classes = seesaw_loss(pred[is_object, :CLASSES], target[is_object], COUNTS, reduction='sum')
    objectness = F.cross_entropy(pred[:, CLASSES:], (~is_object).long(), reduction='sum')
    found = seesaw_objectness_loss(pred, target, COUNTS, class_divisor=divisor, avg_factor=80)
    expected = objectness / 80 + classes / (is_object.sum() if divisor == 'objects' else 80)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_region_of_weight_zero_or_ignored_is_as_if_it_was_not_there() -> None:
    pred, target = rois()
    weight = torch.ones(80)
    weight[:20] = 0
    hidden = target.clone()
    hidden[:20] = -1
    expected = seesaw_objectness_loss(pred[20:], target[20:], COUNTS, reduction='sum').item()
    for found in (
        seesaw_objectness_loss(pred, target, COUNTS, weight=weight, reduction='sum'),
        seesaw_objectness_loss(pred, hidden, COUNTS, reduction='sum'),
    ):
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_doubling_the_weight_of_a_region_doubles_its_term() -> None:
    pred, target = rois()
    weight = torch.ones(80)
    base = seesaw_objectness_loss(pred, target, COUNTS, weight=weight, reduction='none')
    weight[7] = 2
    changed = seesaw_objectness_loss(pred, target, COUNTS, weight=weight, reduction='none')
    assert torch.allclose(changed[7], 2 * base[7]) and torch.equal(changed[8:], base[8:])


@pytest.mark.parametrize('case', ['no object', 'only objects', 'nothing', 'all ignored'])
def test_degenerate_batches_are_finite_and_keep_the_graph(case: str) -> None:
    pred, target = rois()
    if case == 'nothing':
        pred, target = pred[:0].detach().requires_grad_(), target[:0]
    target = {'no object': torch.full_like(target, CLASSES), 'only objects': target.clamp_max(CLASSES - 1)}.get(
        case, torch.full_like(target, -1)
    )
    value = seesaw_objectness_loss(pred, target, COUNTS)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()
    assert (value == 0) == (case in ('nothing', 'all ignored'))


def test_scores_add_up_and_wrong_channels_are_named() -> None:
    pred, target = rois()
    scores = seesaw_scores(pred.detach())
    assert scores.shape == (80, CLASSES + 1) and torch.allclose(scores.sum(1), torch.ones(80))
    with pytest.raises(ValueError, match='the logits have 6 channels'):
        seesaw_objectness_loss(pred[:, :-1], target, COUNTS)
    with pytest.raises(ValueError, match='class_divisor'):
        seesaw_objectness_loss(pred, target, COUNTS, class_divisor='some')


def test_masked_class_gets_neither_probability_nor_gradient() -> None:
    pred, target = example((2, 6, 7), ignored=0.0)
    target[target == 4] = 0
    seesaw_loss(pred, target, torch.tensor([50.0, 20, 20, 10, 0]), empty_class='mask').backward()
    assert (pred.grad[:, 4] == 0).all() and (pred.grad[:, 0] != 0).any()


def test_masked_class_is_out_of_the_softmax_of_no_object_too() -> None:
    pred = torch.randn(8, CLASSES + 1, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 5, 5, 5, 5])
    counts = torch.tensor([50.0, 20, 20, 10, 0])
    seesaw_loss(pred, target, counts, empty_class='mask', ignore_index=-1).backward()
    assert (pred.grad[:, 4] == 0).all() and (pred.grad[:, 5] != 0).all()
