"""The pseudo-label rules and refiners of the core, under their own names: they need nothing of the hosts."""

from __future__ import annotations

from imbdense.core.pseudo_label import (
    BudgetedThreshold,
    ClassBalancedThreshold,
    CReSTQuota,
    DARPRefiner,
    DASOBlender,
    DistributionAlign,
    EntropyPercentile,
    ExpectedShareThreshold,
    FixedThreshold,
    FlexThreshold,
    FreeThreshold,
    QuantileThreshold,
)
from imbdense.registry import PSEUDO_LABELERS

RULES = (
    FixedThreshold, FlexThreshold, ExpectedShareThreshold, FreeThreshold, ClassBalancedThreshold, QuantileThreshold,
    CReSTQuota, EntropyPercentile, BudgetedThreshold,
)
REFINERS = (DistributionAlign, DARPRefiner, DASOBlender)

for _cls in (*RULES, *REFINERS):
    PSEUDO_LABELERS.register_module(module=_cls)
