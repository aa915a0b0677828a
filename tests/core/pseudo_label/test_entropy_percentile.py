"""U2PL: an entropy percentile of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.pseudo_label import EntropyPercentile, confidence_of_entropy, masked_percentile
from imbdense.core.pseudo_label.entropy_percentile import entropy
from tests.core.pseudo_label.rules import draw_probs, draw_valid


@pytest.mark.parametrize('percent', [0.0, 33.3, 80.0, 92.0, 100.0])
def test_percentile_equals_numpy(percent: float) -> None:
    values, valid = torch.rand(997, generator=torch.Generator().manual_seed(0)), draw_valid((997,))
    wanted = np.percentile(values[valid].numpy(), percent)
    assert masked_percentile(values, valid, percent).item() == pytest.approx(wanted, rel=1e-5)


def test_percentile_of_nothing_is_infinite() -> None:
    assert masked_percentile(torch.rand(5), torch.zeros(5, dtype=torch.bool), 80.0) == torch.inf
    assert masked_percentile(torch.rand(1), torch.ones(1, dtype=torch.bool), 80.0) < 1


@pytest.mark.parametrize('progress', [0.0, 0.25, 0.9])
def test_equals_the_published_rule(progress: float) -> None:
    probs, valid = draw_probs((2, 4, 16, 16)), draw_valid((2, 16, 16))
    rule = EntropyPercentile(4)
    rule.set_progress(progress)
    label, weight, accepted = rule(probs, valid)
    uncertain = -(probs * torch.log(probs + 1e-10)).sum(1).numpy()
    percent = 100 - 20 * (1 - progress)
    limit = np.percentile(uncertain[valid.numpy()].flatten(), percent)
    wanted = torch.where(torch.as_tensor(uncertain < limit) & valid, probs.argmax(1), 255)
    assert torch.equal(label, wanted)
    assert weight[label != 255].unique().item() == pytest.approx(2 * 16 * 16 / int(accepted.sum()))


def test_at_the_end_everything_valid_is_kept() -> None:
    rule, valid = EntropyPercentile(4), draw_valid((2, 8, 8))
    rule.set_progress(1.0)
    assert rule(draw_probs((2, 4, 8, 8)), valid).accepted.sum() == valid.sum()


def test_the_same_confidence_can_be_kept_or_not() -> None:
    """Entropy looks at all classes."""
    probs = torch.tensor([[0.6, 0.4, 0, 0], [0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3]])
    assert EntropyPercentile(4, start=50.0)(probs).label.tolist() == [0, -1]


@pytest.mark.parametrize('classes', [2, 5, 19])
def test_confidence_of_an_entropy(classes: int) -> None:
    for q in (1 / classes + 0.01, 0.7, 0.95, 0.9999):
        rest = [(1 - q) / (classes - 1)] * (classes - 1)
        limit = torch.tensor(-sum(p * np.log(p) for p in [q, *rest]))
        assert confidence_of_entropy(limit, classes).item() == pytest.approx(q, abs=1e-5)
    assert confidence_of_entropy(torch.tensor(torch.inf), classes).item() == pytest.approx(1 / classes)
    assert confidence_of_entropy(torch.tensor(0.0), classes).item() == pytest.approx(1.0)


def test_select_accepts_nothing_that_the_entropy_rule_would_not() -> None:
    rule, probs = EntropyPercentile(4), draw_probs((4000, 4))
    rule(probs)
    confidence, predicted = probs.max(1)
    selected = rule.select(confidence, predicted) == 1
    assert selected.sum() > 0 and (entropy(probs)[selected] <= rule.limit + 1e-5).all()


def test_eval_mode_uses_the_last_limit() -> None:
    rule, probs = EntropyPercentile(4), draw_probs((4000, 4))
    assert rule.eval()(probs).accepted.sum() == 4000
    first = rule.train()(probs)
    assert torch.equal(rule.eval()(probs).label, first.label)
    assert rule(probs[:10]).label.tolist() == first.label[:10].tolist()
