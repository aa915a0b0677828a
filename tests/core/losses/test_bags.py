"""Balanced group softmax."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import balanced_group_scores, balanced_group_softmax_loss, class_groups

COUNTS = torch.tensor([5.0, 20000.0, 10.0, 99.0, 1000.0, 999.0])
GROUPS = class_groups(COUNTS)
C, G = 6, 4


def rois(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(count, C + G + 2, generator=generator)
    target = torch.randint(0, C + 1, (count,), generator=generator)
    target[torch.rand(count, generator=generator) < 0.5] = C
    return pred.requires_grad_(), target


def reference(pred: torch.Tensor, target: torch.Tensor, ratio: float) -> float:
    """One cross-entropy per group with the members first and "others" last, each over its own number of samples."""
    total = F.cross_entropy(pred[:, -2:], (target < C).long()).item()
    for group in range(G):
        classes = (group == GROUPS).nonzero().flatten().tolist()
        columns = [*classes, C + group]
        labels = torch.tensor([classes.index(y) if y in classes else len(classes) for y in target.tolist()])
        member = labels < len(classes)
        if not member.any():
            continue
        share = min(1.0, ratio * member.sum().item() / max((~member).sum().item(), 1))
        weight = torch.where(member, 1.0, share)
        loss = F.cross_entropy(pred[:, columns], labels, reduction='none')
        total += ((loss * weight).sum() / weight.sum()).item()
    return total


def test_groups_begin_at_their_edge() -> None:
    assert GROUPS.tolist() == [0, 3, 1, 1, 3, 2]
    share = torch.tensor([10.0, 10020.0], dtype=torch.float64) / 10030
    assert class_groups(share * 10030 - 1e-12).tolist() == [1, 3]  # a rounding error below the edge
    assert class_groups(torch.tensor([0.0, 9.0])).tolist() == [0, 0]
    assert class_groups(torch.tensor([0.0, 9.0]), empty_class='mask').tolist() == [-1, 0]


@pytest.mark.parametrize('ratio', [8.0, 1.0])
def test_sum_of_one_mean_per_group(ratio: float) -> None:
    pred, target = rois()
    for labels in (target, torch.where(target == 0, C, target), torch.full_like(target, C)):
        found = balanced_group_softmax_loss(pred, labels, GROUPS, G, others_ratio=ratio, avg_factor=60)
        assert found.item() == pytest.approx(reference(pred.detach(), labels, ratio), rel=1e-5)


def test_group_without_a_sample_gets_no_gradient() -> None:
    pred, target = rois()
    target[target == 0] = C  # class 0 is alone in group 0
    balanced_group_softmax_loss(pred, target, GROUPS, G).backward()
    assert (pred.grad[:, [0, C]] == 0).all() and (pred.grad[:, [2, C + 1]] != 0).any()


def test_classes_of_other_groups_are_not_pushed_down() -> None:
    """A sample of class 1 reaches the others of its group and every "others", no class outside."""
    pred, _ = rois(1)
    balanced_group_softmax_loss(pred, torch.tensor([1]), GROUPS, G).backward()
    assert (pred.grad[0, [1, 4, C + 3]] != 0).all()
    assert (pred.grad[0, [0, 2, 3, 5]] == 0).all()


def test_scores_are_group_probability_times_objectness() -> None:
    pred, _ = rois()
    scores = balanced_group_scores(pred.detach(), GROUPS, G)
    assert scores.shape == (60, C + 1) and (scores >= 0).all()
    background, is_object = pred.detach()[:, -2:].softmax(1).split(1, 1)
    assert torch.allclose(scores[:, C:], background)
    for group in range(G):
        classes = (group == GROUPS).nonzero().flatten().tolist()
        within = pred.detach()[:, [*classes, C + group]].softmax(1)[:, :-1]
        assert torch.allclose(scores[:, classes], within * is_object, atol=1e-6)


def test_class_in_no_group_has_score_zero() -> None:
    groups = torch.tensor([-1, 0, 0, 1, 1, 1])
    assert (balanced_group_scores(rois()[0].detach(), groups, G)[:, 0] == 0).all()


def test_weights_are_exact_and_zero_is_as_if_it_was_not_there() -> None:
    pred, target = rois()
    weight = torch.ones(60)
    base = balanced_group_softmax_loss(pred, target, GROUPS, G, weight=weight, reduction='none')
    weight[7] = 2
    changed = balanced_group_softmax_loss(pred, target, GROUPS, G, weight=weight, reduction='none')
    assert torch.allclose(changed[7], 2 * base[7]) and torch.equal(changed[8:], base[8:])
    weight = torch.ones(60)
    weight[:20] = 0
    hidden = torch.where(torch.arange(60) < 20, -1, target)
    expected = balanced_group_softmax_loss(pred[20:], target[20:], GROUPS, G, reduction='sum').item()
    for found in (
        balanced_group_softmax_loss(pred, target, GROUPS, G, weight=weight, reduction='sum'),
        balanced_group_softmax_loss(pred, hidden, GROUPS, G, reduction='sum'),
    ):
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_gradient_against_finite_differences() -> None:
    pred, target = rois(12)
    double = pred.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: balanced_group_softmax_loss(z, target, GROUPS, G), (double,))


@pytest.mark.parametrize('count', [0, 5])
def test_nothing_and_all_ignored_are_zero_with_graph(count: int) -> None:
    pred = torch.randn(count, C + G + 2, requires_grad=True)
    value = balanced_group_softmax_loss(pred, torch.full((count,), -1), GROUPS, G)
    value.backward()
    assert value.item() == 0 and pred.grad is not None and (pred.grad == 0).all()


def test_extreme_logits_stay_finite() -> None:
    pred, target = rois()
    large = (pred.detach() * 1e4).requires_grad_()
    value = balanced_group_softmax_loss(large, target, GROUPS, G)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(large.grad).all()
    assert torch.isfinite(balanced_group_scores(large.detach(), GROUPS, G)).all()


def test_wrong_number_of_channels_says_which_are_needed() -> None:
    pred, target = rois()
    with pytest.raises(ValueError, match=r'logits \(R, 12\) for 6 classes in 4 groups'):
        balanced_group_softmax_loss(pred[:, :7], target, GROUPS, G)
