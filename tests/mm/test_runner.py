"""SafeRunner: which hooks of a config it registers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('mmengine')

from mmengine.runner import Runner

from imbdense.mm.runner import SAFETY_HOOKS, SafeRunner


def test_a_default_hook_set_to_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    added: list[Any] = []
    monkeypatch.setattr(Runner, 'register_hooks', lambda self, defaults, custom: given.update(defaults))
    monkeypatch.setattr(SafeRunner, 'register_hook', lambda self, hook: added.append(hook))
    monkeypatch.setattr(SafeRunner, 'hooks', [])
    SafeRunner.__new__(SafeRunner).register_hooks({'class_counts': None, 'timer': None, 'report': {'type': 'X'}})
    assert 'class_counts' not in given and given['report'] == {'type': 'X'}
    assert given['timer'] is None, 'the host leaves its own out by itself'
    assert [hook['type'] for hook in added] == list(SAFETY_HOOKS)
