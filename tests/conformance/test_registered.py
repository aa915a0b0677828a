"""What every registered class owes its user: a card, tasks, a purpose, a typed constructor, a name of its own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import Registry

from imbdense.registry import REGISTRIES
from tests.conformance.walk import everything

CARDS = Path(__file__).resolve().parents[2] / 'docs' / 'methods'
EVERYTHING = everything()
each = pytest.mark.parametrize(('kind', 'name', 'cls'), EVERYTHING, ids=[f'{k}-{n}' for k, n, _ in EVERYTHING])


@each
def test_registered_name_is_the_class_name(kind: str, name: str, cls: type) -> None:
    assert name == cls.__name__


@each
def test_card_tasks_and_purpose(kind: str, name: str, cls: type) -> None:
    card, tasks = getattr(cls, 'card', ''), getattr(cls, 'tasks', ())
    assert isinstance(card, str) and (CARDS / f'{card}.md').is_file(), f"{name}: docs/methods/{card}.md is missing"
    assert isinstance(tasks, tuple) and tasks and all(isinstance(task, str) for task in tasks), f'{name}: no tasks'
    document = cls.__dict__.get('__doc__') or ''
    first = document.strip().splitlines()[0] if document.strip() else ''
    assert first.endswith('.') and len(first) > 15, f'{name}: the first line of the docstring must say its purpose'


def constructor_of(cls: type) -> Any:
    """``__new__`` of the builders that return another object, else ``__init__``."""
    return cls.__new__ if '__new__' in cls.__dict__ else cls.__init__


@each
def test_constructor_is_typed_and_swallows_nothing(kind: str, name: str, cls: type) -> None:
    if not getattr(constructor_of(cls), '__module__', '').startswith('imbdense'):
        pytest.skip('constructor of the host')
    for parameter in inspect.signature(cls).parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL), f'{name}: *{parameter.name}'
        assert parameter.annotation is not inspect.Parameter.empty, f'{name}: {parameter.name} has no type'


@each
def test_unknown_argument_is_named(kind: str, name: str, cls: type) -> None:
    if not getattr(constructor_of(cls), '__module__', '').startswith('imbdense'):
        pytest.skip('constructor of the host')
    with pytest.raises(TypeError, match='surely_no_such_argument'):
        cls(surely_no_such_argument=1)


def test_names_are_unique_among_our_kinds() -> None:
    names = [name for _, name, _ in EVERYTHING]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def _host_names(registry: Registry) -> set[str]:
    """Names in a root registry and all its children but ours."""
    registry.import_from_location()
    found = set(registry.module_dict)
    for child in registry.children.values():
        if child.scope != 'imbdense':
            found |= _host_names(child)
    return found


@pytest.mark.parametrize('kind', [kind for kind, registry in REGISTRIES.items() if registry.parent is not None])
def test_names_differ_from_those_of_the_hosts(kind: str) -> None:
    for host in ('mmseg', 'mmdet'):
        pytest.importorskip(f'{host}.registry')
    root: Any = REGISTRIES[kind].parent
    clash = {name for k, name, _ in EVERYTHING if k == kind} & _host_names(root)
    assert not clash, f'{sorted(clash)} exist in a host as well; a config could not tell which is meant'
