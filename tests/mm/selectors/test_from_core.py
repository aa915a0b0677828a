"""Selectors that cluster are found under their names in any scope."""

from __future__ import annotations

from imbdense.core.selection import BinnedClusterSelector
from imbdense.registry import SELECTORS


def test_built_from_a_config() -> None:
    selector = SELECTORS.build({
        'type': 'imbdense.BinnedClusterSelector', 'num_bins': 4, 'k_rule': 'tiles_per_cluster', 'per_group': False,
        'allocation': 'reference', 'class_balance': None, 'distance_space': 'raw',
    })  # fmt: skip
    assert type(selector) is BinnedClusterSelector
    assert selector.options()['num_bins'] == 4 and selector.options()['distance_space'] == 'raw'
