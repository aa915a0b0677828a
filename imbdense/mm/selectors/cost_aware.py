"""A selector with a budget of minutes, from a config."""

from __future__ import annotations

from typing import Any

from imbdense.core import selection
from imbdense.core.selection import Selector
from imbdense.registry import SELECTORS


@SELECTORS.register_module()
class CostAware(selection.CostAware):
    """Spend a budget of minutes: see :class:`imbdense.core.selection.CostAware`.

    Args:
        selector: config of a selector that scores rows, e.g. ``dict(type='imbdense.FacilityLocation')``.
    """

    card = 'selectors'
    tasks = ('segmentation', 'detection')
    conformance_arguments = {'selector': {'type': 'imbdense.FacilityLocation'}}

    def __init__(self, selector: dict[str, Any] | Selector) -> None:
        super().__init__(selector if isinstance(selector, Selector) else SELECTORS.build(selector))
