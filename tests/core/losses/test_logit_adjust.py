"""Logit adjustment and balanced softmax."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import balanced_softmax_loss, logit_adjust_loss
from tests.core.losses.cases import CLASSES, COUNTS, example


def test_hand_example() -> None:
    """n = [100, 10], z = [0, 0], y = 1: p = 10 / 110 = .0909, loss 2.3979; plain cross-entropy .6931."""
    pred, target = torch.zeros(1, 2), torch.tensor([1])
    assert logit_adjust_loss(pred, target, [100, 10]).item() == pytest.approx(2.3979, abs=1e-4)
    assert balanced_softmax_loss(pred, target, [100, 10]).item() == pytest.approx(2.3979, abs=1e-4)
    assert logit_adjust_loss(pred, target, [100, 10], tau=0.0).item() == pytest.approx(0.6931, abs=1e-4)


def test_balanced_softmax_is_the_count_weighted_softmax() -> None:
    pred, target = example((30,), ignored=0.0)
    weighted = COUNTS * pred.exp()
    expected = -torch.log(weighted.gather(1, target[:, None])[:, 0] / weighted.sum(1)).mean()
    assert balanced_softmax_loss(pred, target, COUNTS).item() == pytest.approx(expected.item(), rel=1e-5)


def test_tau_zero_and_balanced_counts_are_plain_cross_entropy() -> None:
    pred, target = example((2, 6, 7))
    plain = F.cross_entropy(pred, target, ignore_index=255).item()
    assert logit_adjust_loss(pred, target, COUNTS, tau=0).item() == pytest.approx(plain, rel=1e-6)
    assert balanced_softmax_loss(pred, target, torch.full((CLASSES,), 7.0)).item() == pytest.approx(plain, rel=1e-6)


def test_scale_of_the_counts_does_not_matter() -> None:
    pred, target = example((2, 6, 7))
    assert logit_adjust_loss(pred, target, COUNTS * 1e6).item() == pytest.approx(
        logit_adjust_loss(pred, target, COUNTS).item(), rel=1e-6
    )


def test_permuting_the_classes_changes_nothing() -> None:
    pred, target = example((2, 6, 7), ignored=0.0)
    order = torch.tensor([3, 1, 4, 0, 2])
    moved = torch.argsort(order)[target]
    assert logit_adjust_loss(pred[:, order], moved, COUNTS[order]).item() == pytest.approx(
        logit_adjust_loss(pred, target, COUNTS).item(), rel=1e-6
    )


def test_removed_class_gets_neither_probability_nor_gradient() -> None:
    pred, target = example((2, 6, 7), ignored=0.0)
    target[target == 4] = 0
    counts = torch.tensor([50.0, 20.0, 20.0, 10.0, 0.0])
    logit_adjust_loss(pred, target, counts, empty_class='mask').backward()
    assert (pred.grad[:, 4] == 0).all() and (pred.grad[:, 0] != 0).any()


def test_detection_heads_with_and_without_sigmoid() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, CLASSES + 1, (40,), generator=generator)
    rois = torch.randn(40, CLASSES + 1, generator=generator)
    anchors = torch.randn(40, CLASSES, generator=generator)
    for pred, sigmoid in ((rois, False), (anchors, True)):
        value = logit_adjust_loss(pred, target, COUNTS, ignore_index=-1, use_sigmoid=sigmoid, avg_factor=10)
        assert torch.isfinite(value) and value > 0
    plain = logit_adjust_loss(rois, target, COUNTS, ignore_index=-1, tau=0)
    assert plain.item() == pytest.approx(F.cross_entropy(rois, target).item(), rel=1e-6)


@pytest.mark.parametrize('counts', [[1.0, -1.0], [0.0, 0.0], [[1.0]], [float('nan'), 1.0]])
def test_impossible_counts(counts: list[float]) -> None:
    with pytest.raises(ValueError, match='class_counts'):
        logit_adjust_loss(torch.zeros(1, 2), torch.tensor([0]), counts)


def test_trained_to_the_optimum_it_forgets_the_prior() -> None:
    """One feature value, labels 95 : 5. CE learns the prior (logit gap log 19), balanced softmax a gap of zero."""
    target = torch.cat([torch.zeros(95), torch.ones(5)]).long()
    gaps = {}
    for name in ('ce', 'balanced'):
        logits = torch.zeros(1, 2, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], max_iter=50)

        def closure(logits: torch.Tensor = logits, name: str = name, optimizer: torch.optim.LBFGS = optimizer) -> float:
            optimizer.zero_grad()
            loss = logit_adjust_loss(logits.expand(100, 2), target, [95, 5], tau=float(name == 'balanced'))
            loss.backward()
            return float(loss.detach())

        optimizer.step(closure)
        gaps[name] = float((logits[0, 0] - logits[0, 1]).detach())
    assert gaps['ce'] == pytest.approx(2.944, abs=0.01) and gaps['balanced'] == pytest.approx(0.0, abs=0.01)
