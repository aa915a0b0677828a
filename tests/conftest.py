"""What every test is surrounded by."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _default_scope_is_given_back() -> Iterator[None]:
    """Mmengine's default scope is the same before and after every test, so that none finds what another one set.

    Where nothing has imported mmengine (the core alone, without the hosts) there is nothing to give back.
    """
    before = _scopes()
    yield
    module = sys.modules.get('mmengine.registry.default_scope')
    if module is not None:
        module.DefaultScope._instance_dict = before


def _scopes() -> OrderedDict[str, Any]:
    """The scopes mmengine knows, the current one last; none while it is not imported."""
    module = sys.modules.get('mmengine.registry.default_scope')
    return OrderedDict() if module is None else OrderedDict(module.DefaultScope._instance_dict)
