"""Constructors that take the arguments of another class, such as a host's head, and some more.

The hosts pass what they do not know up the class tree with ``**kwargs``, so a misspelled argument is reported by some
base class, or hidden behind another error. Here the parameters of the whole tree are collected once, and a class gets
a constructor that knows all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
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

    def build(self: Any, arguments: dict[str, Any]) -> None:
        own = {parameter.name: arguments.pop(parameter.name) for parameter in added if parameter.name in arguments}
        host.__init__(self, **{**defaults, **arguments})
        finish(self, **own)

    set_constructor(cls, list(parameters.values()), build)


def set_constructor(cls: type, parameters: Sequence[Parameter], build: Callable[[Any, dict[str, Any]], None]) -> None:
    """Give ``cls`` a constructor with these parameters that calls ``build(self, arguments that were given)``.

    An argument that is none of them is a ``TypeError`` that names it and lists what the class takes.
    """
    itself = Parameter('self', Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([itself, *parameters])

    def __init__(self: Any, *given: Any, **arguments: Any) -> None:
        try:
            bound = signature.bind_partial(self, *given, **arguments).arguments
        except TypeError as error:
            raise TypeError(
                f'{cls.__name__}.__init__() {error}; it takes {", ".join(one.name for one in parameters)}.') from None
        build(self, {name: value for name, value in bound.items() if name != 'self'})

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    __init__.__module__, __init__.__qualname__ = cls.__module__, f'{cls.__qualname__}.__init__'
    cls.__init__ = __init__  # type: ignore[misc]


def extends(host: type, finish: str, **defaults: Any) -> Callable[[Head], Head]:
    """Class decorator: :func:`extend_constructor` with the method of that name."""

    def decorate(cls: Head) -> Head:
        extend_constructor(cls, host, defaults, getattr(cls, finish))
        return cls

    return decorate
