"""The pseudo-label rules and refiners of the core, under their own names: they need nothing of the hosts."""

from __future__ import annotations

from imbdense.core.pseudo_label import FixedThreshold
from imbdense.registry import PSEUDO_LABELERS

for _cls in (FixedThreshold,):
    PSEUDO_LABELERS.register_module(module=_cls)
