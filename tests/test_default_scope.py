"""A test that sets mmengine's default scope leaves none to the next one."""

from __future__ import annotations

import pytest

registry = pytest.importorskip('mmengine.registry')

FOUND: list[str | None] = []


def current() -> str | None:
    """Name of the current default scope."""
    scope = registry.DefaultScope.get_current_instance()
    return None if scope is None else scope.scope_name


@pytest.mark.parametrize('name', ['mmseg', 'mmdet'])
def test_each_finds_the_scope_as_it_was(name: str) -> None:
    FOUND.append(current())
    assert len(set(FOUND)) == 1
    registry.init_default_scope(name)
    assert current() == name
