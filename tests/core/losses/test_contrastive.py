"""PaCo, GPaCo, balanced contrastive loss, and the elements and regions they look at."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.losses import bal_scl_loss, paco_loss, sample_elements

COUNTS = torch.tensor([100.0, 10.0, 1.0])


def rows(ignored: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """12 unit features of 4 dimensions in double precision, labels, logits of the first 8."""
    generator = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(12, 4, generator=generator, dtype=torch.float64), dim=1).requires_grad_()
    labels = torch.randint(0, 3, (12,), generator=generator)
    labels[:ignored] = -1
    logits = torch.randn(8, 3, generator=generator, dtype=torch.float64).requires_grad_()
    return features, labels, logits


def slow_paco(features, labels, logits, prior, alpha, beta, gamma, temperature, smoothing):
    """Row by row, term by term."""
    total, number, classes = 0.0, 0, logits.shape[1]
    for i in range(logits.shape[0]):
        y = int(labels[i])
        if y < 0:
            continue
        shift = [math.log(p + 1e-9) for p in prior] if prior is not None else [0.0] * classes
        terms = [(float(logits[i, k]) + shift[k], 1.0,
                  beta * ((1 - smoothing) if k == y else smoothing / (classes - 1))) for k in range(classes)]
        for j in range(features.shape[0]):
            if j != i and labels[j] >= 0:
                similar = float(features[i].detach() @ features[j].detach()) / temperature
                terms.append((similar, gamma, alpha * float(labels[j] == y)))
        denominator = math.log(sum(share * math.exp(u) for u, share, _ in terms))
        total -= sum(w * (u - denominator) for u, _, w in terms) / sum(w for _, _, w in terms)
        number += 1
    return total / number


@pytest.mark.parametrize('prior', [True, False])
@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_paco_agrees_with_the_slow_reference(prior: bool, smoothing: float) -> None:
    features, labels, logits = rows()
    options = {'alpha': 0.3, 'beta': 0.9, 'gamma': 0.5, 'temperature': 0.2, 'smoothing': smoothing}
    value = paco_loss(features, labels, logits, COUNTS if prior else None, **options)
    pi = (COUNTS / COUNTS.sum()).tolist() if prior else None
    assert value.item() == pytest.approx(slow_paco(features, labels, logits, pi, **options), rel=1e-9)


def test_paco_without_pairs_is_logit_adjusted_cross_entropy() -> None:
    features, labels, logits = rows()
    value = paco_loss(features, labels, logits, COUNTS, alpha=0.0, gamma=0.0)
    expected = F.cross_entropy(logits + torch.log(COUNTS / COUNTS.sum()), labels[:8], ignore_index=-1)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def slow_bal_scl(features, labels, prototypes, temperature):
    """Row by row."""
    classes = prototypes.shape[0]
    columns = [(features[j], int(labels[j]), j) for j in range(len(labels)) if labels[j] >= 0]
    columns += [(prototypes[c], c, None) for c in range(classes)]
    number = [sum(label == c for _, label, _ in columns) for c in range(classes)]
    losses = []
    for i in range(len(labels)):
        if labels[i] < 0:
            continue
        anchor = features[i].detach()
        others = [(float(anchor @ f.detach()) / temperature, c) for f, c, j in columns if j is None or j != i]
        down = math.log(sum(math.exp(u) / (number[c] - int(c == labels[i])) for u, c in others))
        positives = [u - down for u, c in others if c == labels[i]]
        losses.append(-sum(positives) / len(positives))
    return sum(losses) / len(losses)


def test_bal_scl_agrees_with_the_slow_reference() -> None:
    features, labels, _ = rows()
    prototypes = F.normalize(torch.randn(3, 4, dtype=torch.float64), dim=1)
    value = bal_scl_loss(features, labels, prototypes)
    assert value.item() == pytest.approx(slow_bal_scl(features, labels, prototypes, 0.1), rel=1e-9)


def test_gradients() -> None:
    features, labels, logits = rows()
    prototypes = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, z: paco_loss(f, labels, z, COUNTS), (features, logits))
    assert torch.autograd.gradcheck(lambda f, c: bal_scl_loss(f, labels, c, temperature=0.5), (features, prototypes))


def test_without_a_valid_row_both_are_zero_with_a_graph() -> None:
    features, labels, logits = rows(ignored=12)
    value = paco_loss(features, labels, logits, COUNTS) + bal_scl_loss(features, labels, torch.eye(3, 4))
    value.backward()
    assert value.item() == 0 and (features.grad == 0).all() and (logits.grad == 0).all()


def test_ignored_rows_might_as_well_not_be_there() -> None:
    features, labels, logits = rows()
    short = paco_loss(features[2:], labels[2:], logits[2:], COUNTS)
    assert paco_loss(features, labels, logits, COUNTS).item() == pytest.approx(short.item(), rel=1e-9)
    prototypes = torch.eye(3, 4, dtype=torch.float64)
    assert bal_scl_loss(features, labels, prototypes).item() == pytest.approx(
        bal_scl_loss(features[2:], labels[2:], prototypes).item(), rel=1e-9)


def test_half_precision_under_autocast_agrees() -> None:
    features, labels, logits = (value.float() if value.is_floating_point() else value for value in rows())
    with torch.autocast('cpu', torch.bfloat16):
        inside = paco_loss(features, labels, logits, COUNTS), bal_scl_loss(features, labels, torch.eye(3, 4))
    outside = paco_loss(features, labels, logits, COUNTS), bal_scl_loss(features, labels, torch.eye(3, 4))
    assert [value.item() for value in inside] == pytest.approx([value.item() for value in outside], rel=1e-5)


def test_sampling_keeps_quota_halves_and_leaves_single_elements_out() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.cat([torch.zeros(500), torch.ones(100), torch.full((5,), 2), torch.full((1,), 3),
                        torch.full((40,), 255)]).long()
    wrong = torch.zeros_like(target, dtype=torch.bool)
    wrong[:50] = True
    drawn = sample_elements(target, 5, wrong=wrong, per_class=20, generator=generator)
    counts = torch.bincount(target[drawn], minlength=5).tolist()
    assert counts == [20, 20, 5, 0, 0] and drawn.unique().numel() == drawn.numel()
    assert 10 <= int(wrong[drawn].sum()) <= 13  # half of 20, and a few of the fifty by chance


def test_sampling_is_uniform_inside_a_class_and_capped_in_all() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.tensor([0] * 10 + [1] * 30)
    hits = torch.zeros(40)
    for _ in range(2000):
        hits[sample_elements(target, 2, per_class=6, most=8, generator=generator)] += 1
    assert hits[:10].sum() == 8000 and hits[10:].sum() == 8000  # 8 // 2 classes = 4 of each
    assert (hits[:10] - 800).abs().max() < 4 * math.sqrt(2000 * 0.4 * 0.6)
