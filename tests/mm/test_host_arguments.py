"""A constructor that knows the arguments of a whole tree of host classes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from imbdense.mm.host_arguments import extend_constructor, host_parameters


class Root:
    """Takes no keywords it does not know."""

    def __init__(self, width: int, depth: int = 3) -> None:
        self.width, self.depth = width, depth


class Middle(Root):
    """No constructor of its own."""


class Host(Middle):
    """Passes on what it does not know."""

    def __init__(self, kind, depth: int = 5, **kwargs: Any) -> None:
        super().__init__(depth=depth, **kwargs)
        self.kind = kind


class Child(Host):
    """Gets its constructor in :func:`child`."""


@pytest.fixture
def child() -> type:
    """Child with one more argument and another default."""
    def finish(self: Any, extra: str | None = None) -> None:
        self.extra = (extra, self.width)

    extend_constructor(Child, Host, {'kind': 'new'}, finish)
    return Child


def test_parameters_of_the_whole_tree() -> None:
    found = host_parameters(Host)
    assert list(found) == ['kind', 'depth', 'width'] and found['depth'].default == 5
    assert found['kind'].annotation is Any and found['width'].default is inspect.Parameter.empty


def test_signature_defaults_and_finish(child: type) -> None:
    parameters = inspect.signature(child).parameters
    assert list(parameters) == ['kind', 'depth', 'width', 'extra'] and parameters['kind'].default == 'new'
    assert parameters['extra'].default is None and parameters['extra'].annotation == str | None
    built = child(width=2, extra='e')
    assert (built.kind, built.depth, built.width, built.extra) == ('new', 5, 2, ('e', 2))
    assert child(width=2, kind='own').kind == 'own' and child(width=2).extra == (None, 2)


def test_unknown_and_missing_arguments_are_named(child: type) -> None:
    with pytest.raises(TypeError, match=r"Child.*'widht'; it takes kind, depth, width, extra"):
        child(widht=2)
    with pytest.raises(TypeError, match='width'):
        child()
