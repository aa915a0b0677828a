"""FreeMatch: thresholds and fairness."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import FreeThreshold, free_fairness, free_thresholds
from tests.core.pseudo_label.rules import draw_probs


def test_thresholds_by_hand() -> None:
    assert free_thresholds(0.8, torch.tensor([0.5, 0.3, 0.2])).tolist() == pytest.approx([0.8, 0.48, 0.32])


def test_everything_begins_at_one_over_k() -> None:
    rule = FreeThreshold(4)
    assert rule.threshold == 0.25 and rule.prob_model.tolist() == [0.25] * 4 == rule.label_hist.tolist()
    assert rule.thresholds().tolist() == pytest.approx([0.25] * 4)


def test_equals_the_moving_averages_written_out() -> None:
    rule, m = FreeThreshold(3, momentum=0.8), 0.8
    tau, p, h = 1 / 3, torch.full((3,), 1 / 3), torch.full((3,), 1 / 3)
    for step in range(10):
        probs = draw_probs((64, 3), step) * torch.tensor([3.0, 1, 0.5])
        probs = probs / probs.sum(1, keepdim=True)
        confidence, predicted = probs.max(1)
        tau = m * tau + (1 - m) * confidence.mean()
        p = m * p + (1 - m) * probs.mean(0)
        h = m * h + (1 - m) * torch.bincount(predicted, minlength=3) / 64
        label, _, _ = rule(probs)
        kept = confidence >= (tau * p / p.max())[predicted]
        assert torch.equal(label, torch.where(kept, predicted, -1))
    assert torch.allclose(rule.prob_model, p) and torch.allclose(rule.label_hist, h)
    assert rule.threshold.item() == pytest.approx(tau.item(), rel=1e-5)


def test_quantile_and_clip() -> None:
    probs = draw_probs((1001, 3))
    rule = FreeThreshold(3, momentum=0.0, quantile=0.8)
    rule(probs)
    assert rule.threshold.item() == pytest.approx(probs.max(1).values.quantile(0.8).item(), abs=0.0015)
    for count in (1, 2, 3, 8):
        few = FreeThreshold(3, momentum=0.0, quantile=0.8)
        few(probs[:count])
        assert few.threshold.item() == pytest.approx(probs[:count].max(1).values.quantile(0.8).item(), abs=0.0015)
    rule = FreeThreshold(3, momentum=0.0, clip=0.4)
    rule(probs)
    assert rule.threshold.item() == pytest.approx(0.4)


def reference_fairness(logits: torch.Tensor, p: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Over accepted items (P, K), the histogram floored at 1 / (10 P)."""
    soft = logits.softmax(1)
    hist = torch.bincount(soft.argmax(1), minlength=logits.shape[1]).to(logits) / len(logits)
    hist = hist.clamp_min(1 / (10 * len(logits)))
    student, teacher = soft.mean(0) / hist, p / h
    return (teacher / teacher.sum() * (student / student.sum()).log()).sum()


def test_fairness_equals_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64)
    accepted = torch.rand(2, 6, 5, generator=generator) > 0.5
    p, h = torch.tensor([0.4, 0.3, 0.2, 0.1]).double(), torch.tensor([0.5, 0.3, 0.15, 0.05]).double()
    wanted = reference_fairness(logits.movedim(1, -1)[accepted], p, h)
    assert free_fairness(logits, accepted, p, h).item() == pytest.approx(wanted.item(), rel=1e-9)


def test_a_class_the_teacher_never_predicts_is_left_out_of_the_fairness() -> None:
    logits = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    p, h = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.7, 0.3, 0.0]).double()
    wanted = reference_fairness(logits, p * (h > 0), h.where(h > 0, torch.ones(3).double()))
    found = free_fairness(logits, torch.ones(40, dtype=torch.bool), p, h)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-9)


def test_fairness_gradcheck() -> None:
    logits = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    accepted = torch.arange(12) % 3 > 0
    prior = torch.tensor([0.5, 0.3, 0.2])
    assert torch.autograd.gradcheck(lambda z: free_fairness(z, accepted, prior, prior.flip(0)), logits)


def test_a_class_the_student_never_predicts_is_pushed_up() -> None:
    """The released form gives it a constant and no gradient."""
    logits = torch.zeros(20, 3)
    logits[:10, 0], logits[10:, 1], logits[:, 2] = 3, 3, -1
    logits.requires_grad_()
    third = torch.full((3,), 1 / 3)
    loss = free_fairness(logits, torch.ones(20, dtype=torch.bool), third, third)
    loss.backward()
    assert loss.item() > -5 and logits.grad[:, 2].abs().min() > 1e-5


def test_minimising_spreads_the_predictions() -> None:
    """The sign: a gradient step makes the normalised mean prediction more even where it is weighed alike."""
    logits = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 2.0], [2, 0, 0]]).requires_grad_()
    third, accepted = torch.full((3,), 1 / 3), torch.ones(4, dtype=torch.bool)
    first = free_fairness(logits, accepted, third, third)
    (grad,) = torch.autograd.grad(first, logits)
    assert free_fairness(logits.detach() - 0.1 * grad, accepted, third, third) < first


def test_nothing_accepted_is_zero_with_graph() -> None:
    logits = torch.randn(2, 3, 4, 4).requires_grad_()
    loss = free_fairness(logits, torch.zeros(2, 4, 4, dtype=torch.bool), torch.ones(3) / 3, torch.ones(3) / 3)
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


def test_the_rule_hands_the_term_on() -> None:
    rule, logits = FreeThreshold(3, fairness=0.05), torch.randn(2, 3, 4, 4).requires_grad_()
    pseudo = rule(logits.softmax(1))
    term = rule.extra_losses(logits, pseudo)['loss_fairness']
    wanted = 0.05 * free_fairness(logits, pseudo.weight > 0, rule.prob_model, rule.label_hist)
    assert term.item() == pytest.approx(wanted.item()) and term.requires_grad
    assert FreeThreshold(3).extra_losses(logits, pseudo) == {}


def test_a_rare_class_gets_more_labels_than_with_one_threshold() -> None:
    generator = torch.Generator().manual_seed(0)
    rare = torch.rand(20000, generator=generator) < 0.05
    logits = torch.randn(20000, 2, generator=generator)
    logits[:, 0] += torch.where(rare, -1.0, 4.0)
    probs = logits.softmax(1)
    rule = FreeThreshold(2, momentum=0.9)
    for _ in range(50):
        accepted = rule(probs).accepted
    fixed = (probs[:, 1] >= 0.95).sum()
    assert accepted[1] > 2 * fixed
