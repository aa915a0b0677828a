"""Constructors of heads that take the arguments of a host's head and some more.

The hosts pass what they do not know up the class tree with ``**kwargs``, so a misspelled argument is reported by some
base class, or hidden behind another error. Here the parameters of the whole tree are collected once, and a class gets
a constructor that knows all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, TypeVar

Head = TypeVar('Head', bound=type)


def host_parameters(host: type) -> dict[str, Parameter]:
    """Return the constructor parameters of ``host`` by name, base classes included as far as ``**kwargs`` reach.

    They become keyword-only, as configs give them; a missing annotation becomes ``Any``.
    """
    found: dict[str, Parameter] = {}
    for cls in host.__mro__:
        if '__init__' not in cls.__dict__:
            continue
        own = list(inspect.signature(cls.__init__).parameters.values())[1:]
        for parameter in own:
            if parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
                annotation = Any if parameter.annotation is Parameter.empty else parameter.annotation
                keyword = parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=annotation)
                found.setdefault(parameter.name, keyword)
        if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def extend_constructor(cls: type, host: type, defaults: Mapping[str, Any], finish: Callable[..., None]) -> None:
    """Give ``cls``, a child of ``host``, a constructor with the parameters of ``host`` and those of ``finish``.

    It runs the constructor of ``host``, then ``finish(self, **its own parameters)``.

    Args:
        cls: changed in place.
        host: the head of the host.
        defaults: parameters of ``host`` for which ``cls`` has another default.
        finish: a method; its parameters, with their defaults and types, are added.
    """
    parameters = host_parameters(host)
    for name, value in defaults.items():
        parameters[name] = parameters[name].replace(default=value)
    added = list(inspect.signature(finish, eval_str=True).parameters.values())[1:]
    parameters.update({parameter.name: parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in added})

    def __init__(self: Any, **arguments: Any) -> None:
        for name in arguments:
            if name not in parameters:
                raise TypeError(
                    f'{cls.__name__}.__init__() got an unexpected keyword argument {name!r}; it takes '
                    f'{", ".join(parameters)}.'
                )
        own = {parameter.name: arguments.pop(parameter.name) for parameter in added if parameter.name in arguments}
        host.__init__(self, **{**defaults, **arguments})
        finish(self, **own)

    itself = Parameter('self', Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = inspect.Signature([itself, *parameters.values()])  # type: ignore[attr-defined]
    __init__.__module__, __init__.__qualname__ = cls.__module__, f'{cls.__qualname__}.__init__'
    cls.__init__ = __init__  # type: ignore[misc]


def extends(host: type, finish: str, **defaults: Any) -> Callable[[Head], Head]:
    """Class decorator: :func:`extend_constructor` with the method of that name."""

    def decorate(cls: Head) -> Head:
        extend_constructor(cls, host, defaults, getattr(cls, finish))
        return cls

    return decorate
