"""Detectors of a single kind of object: rules, quotas, examination and memory with K = 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core import pseudo_label
from imbdense.core.pseudo_label import EntropyPercentile, EqualDraw, MemoryEnsemble, accept

ROUNDS = {'round_steps': None}
RULES: list[tuple[str, dict[str, Any], float]] = [
    ('FixedThreshold', {'threshold': [0.6]}, 0.6),
    ('ClassBalancedThreshold', {'start': 0.25, **ROUNDS}, 0.75),
    ('QuantileThreshold', {'class_counts': [10], 'labelled_images': 2, **ROUNDS}, 0.95),  # five of a hundred
    ('QuantileThreshold', {'class_counts': [10], 'keep': 'class_adaptive', 'alpha_min': 0.3, **ROUNDS}, 0.7),
    ('CReSTQuota', {'class_counts': [10], **ROUNDS}, 0.0),  # the only class is the rarest, too: all of it
    ('FreeThreshold', {'momentum': 0.0}, 0.5),
    ('ExpectedShareThreshold', {'class_counts': [10], 'threshold': 0.9}, 0.9),
]


@pytest.mark.parametrize(('name', 'options', 'expected'), RULES, ids=[f'{i}-{rule[0]}' for i, rule in enumerate(RULES)])
def test_rules(name: str, options: dict[str, Any], expected: float) -> None:
    """The threshold is that of a list of scores: a hundred, evenly spread over (0, 1)."""
    rule = getattr(pseudo_label, name)(num_classes=1, negative='half', **options)
    scores, labels = (torch.arange(100) + 0.5) / 100, torch.zeros(100, dtype=torch.int64)
    if hasattr(rule, 'end_round'):
        rule.observe(scores, labels)
        rule.end_round()
    else:
        rule(scores[:, None])
    assert rule.thresholds().tolist() == pytest.approx([expected], abs=0.011)
    threshold = float(rule.thresholds())
    status = rule.select(scores, labels)
    assert status.tolist() == [1 if s >= threshold else -1 if s >= threshold / 2 else 0 for s in scores]


def test_entropy_needs_two_classes() -> None:
    with pytest.raises(ValueError, match='num_classes'):
        EntropyPercentile(1)


def test_quota_examination_and_memory() -> None:
    classes, objects = EqualDraw(0)([3], 5, epoch=0, index=0)
    assert classes.tolist() == [0] * 5 and objects.max() < 3
    assert accept([[0.6, 0.1]], 0.5, pred_labels=[0], pseudo_labels=[0, 0]).tolist() == [True, False]
    memory = MemoryEnsemble()
    memory.update('a', [[0, 0, 10, 10]], [0.9], [1])
    merged = memory.update('a', np.zeros((0, 4)), [], [])
    assert memory.training_labels(merged).tolist() == [1] and merged.counters.tolist() == [1]
