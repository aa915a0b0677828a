"""Rules and refiners are built from configs, and ClassCountHook reaches them inside a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from imbdense.core.pseudo_label import PseudoLabeler, Refiner
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.hooks.class_count_hook import bind_losses
from imbdense.mm.pseudo_labelers.rules import REFINERS, RULES
from imbdense.registry import PSEUDO_LABELERS

EXTRA: dict[str, dict[str, Any]] = {
    'QuantileThreshold': {'class_counts': [5, 3, 2]},
    'CReSTQuota': {'class_counts': [5, 3, 2]},
    'DARPRefiner': {'class_counts': [5, 3, 2]},
    'DASOBlender': {'feature_dim': 3},
}


@pytest.mark.parametrize('cls', [*RULES, *REFINERS], ids=lambda cls: cls.__name__)
def test_built_by_name_in_a_foreign_scope(cls: type) -> None:
    config = {'type': f'imbdense.{cls.__name__}', **EXTRA.get(cls.__name__, {})}
    with DefaultScope.overwrite_default_scope('mmseg'):
        module = PSEUDO_LABELERS.build(config, default_args={'num_classes': 3})
    probs = torch.softmax(torch.randn(1, 3, 8, 8), 1)
    assert isinstance(module, (PseudoLabeler, Refiner)) and module.num_classes == 3
    found = module(probs) if isinstance(module, PseudoLabeler) else module(probs, None, probs)
    assert len(found) > 0


def test_a_wrong_name_is_answered_with_near_ones() -> None:
    with pytest.raises(KeyError, match='FreeThreshold'):
        PSEUDO_LABELERS.build({'type': 'imbdense.FreeTreshold', 'num_classes': 2})


def test_the_hook_hands_the_counts_to_all_that_want_them() -> None:
    model = nn.ModuleList(
        PSEUDO_LABELERS.build({'num_classes': 2, **config})
        for config in (
            {'type': 'QuantileThreshold', 'keep': 'class_adaptive'},
            {'type': 'CReSTQuota'},
            {'type': 'DistributionAlign', 'target': 'labelled'},
            {'type': 'DARPRefiner'},
            {'type': 'ExpectedShareThreshold', 'expected': 'labelled'},
        )
    )
    ledger = PriorLedger(('a', 'b'), [90, 10])
    entries = len(ledger.entries)
    bound = bind_losses(model, ledger, ClassCounts(('a', 'b'), pixels=[90, 10], num_images=4))
    assert len(bound) == 5 and len(ledger.entries) == entries
    for name in bound:
        assert model.get_submodule(name).prior().tolist() == pytest.approx([0.9, 0.1])
