"""Selectors of the core that cluster the pool, under their own names."""

from __future__ import annotations

from imbdense.core.selection import BinnedClusterSelector
from imbdense.registry import SELECTORS

SELECTORS.register_module(module=BinnedClusterSelector)
