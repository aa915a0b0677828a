"""Named phases of a training: what is rebalanced, what is drawn and what learns until when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imbdense.core.checks import check_integer, check_number

KEYS = ('until', 'loss', 'sampler', 'trainable', 'lr_mult')


@dataclass(frozen=True)
class Phase:
    """One phase; see :class:`imbdense.mm.hooks.DeferredRebalanceHook` for the meaning of the fields."""

    name: str
    until: int | float | None
    loss: bool | None
    sampler: dict[str, Any] | str | None
    trainable: str
    lr_mult: float

    def describe(self) -> str:
        """What is special, for the log."""
        parts = [] if self.loss is None else ['losses rebalance' if self.loss else 'losses are plain']
        name = self.sampler if isinstance(self.sampler, str) else (self.sampler or {}).get('type', 'as configured')
        parts += [f'sampler {name}', f'trains {self.trainable}', f'learning rate x{self.lr_mult:g}']
        return ', '.join(parts)


def read_phases(phases: Mapping[str, Mapping[str, Any]], owner: str) -> list[Phase]:
    """Return the phases in the order in which they end; the one without ``until`` is the last.

    The order does not come from the mapping, because a config that was written to a file has its keys sorted.

    Raises:
        TypeError, ValueError: fewer than two phases, an unknown key, a value out of range, none or several phases
            without ``until``, or phases that do not differ in anything.
    """
    if not isinstance(phases, Mapping) or len(phases) < 2:
        raise ValueError(f'{owner}: phases must name at least two phases, dict(first=dict(until=0.8), last=dict()).')
    says_loss = [dict(options).get('loss') for options in phases.values()]
    default = None if all(said is None for said in says_loss) else True not in says_loss
    found = [_read(name, dict(options), default, owner) for name, options in phases.items()]
    last = [phase.name for phase in found if phase.until is None]
    if len(last) != 1:
        raise ValueError(f"{owner}: exactly one phase must be without 'until', the last one; but got {last}.")
    if len({type(phase.until) for phase in found if phase.until is not None}) > 1:
        raise ValueError(f"{owner}: 'until' must be a fraction in all phases, or a number in all of them.")
    if len({(p.loss, str(p.sampler), p.trainable, p.lr_mult) for p in found}) == 1:
        raise ValueError(f'{owner}: the phases do not differ in loss, sampler, trainable or lr_mult.')
    return sorted(found, key=lambda phase: float('inf') if phase.until is None else phase.until)


class Timetable:
    """Phases on the clock of a training loop.

    Args:
        phases: from :func:`read_phases`.
        total: iterations (or epochs) of the whole training.
        unit: 'iteration' or 'epoch', for messages.
        owner: for messages.

    Raises:
        ValueError: a phase would be empty.
    """

    def __init__(self, phases: list[Phase], total: int, unit: str, owner: str) -> None:
        self.phases, self.total, self.unit = phases, total, unit
        self.ends = [
            round(phase.until * total) if isinstance(phase.until, float) else int(phase.until or 0)
            for phase in phases[:-1]
        ]
        edges = [0, *self.ends, total]
        for phase, begin, end in zip(phases, edges, edges[1:]):
            if end <= begin:
                raise ValueError(
                    f"{owner}: phase '{phase.name}' would run from {unit} {begin} to {end} of {total}. "
                    f'Change until, or train longer.'
                )

    def number_at(self, position: int) -> int:
        """The number of the phase that iteration (or epoch) ``position``, counted from 0, belongs to."""
        return bisect_right(self.ends, position)


def _read(name: str, options: dict[str, Any], loss: bool | None, owner: str) -> Phase:
    """One checked phase; ``loss`` is what it has when it does not say."""
    where = f'{owner}: phase {name!r}'
    unknown = sorted(set(options) - set(KEYS))
    if unknown:
        raise TypeError(f'{where} has the unknown keys {unknown}; known are {list(KEYS)}.')
    until, sampler = options.get('until'), options.get('sampler')
    if isinstance(until, float):
        check_number('until', until, low=0.0, high=1.0, low_open=True, owner=where)
    elif until is not None:
        check_integer('until', until, low=1, owner=where)
    said = options.get('loss')
    if said is not None and not isinstance(said, bool):
        raise TypeError(f'{where}: loss must be True or False, but got {said!r}.')
    if not (sampler is None or sampler == 'natural' or (isinstance(sampler, Mapping) and 'type' in sampler)):
        raise ValueError(f"{where}: sampler must be None, 'natural' or a config with 'type', but got {sampler!r}.")
    trainable = options.get('trainable', 'all')
    if not isinstance(trainable, str):
        raise TypeError(f"{where}: trainable must be 'all' or a regular expression, but got {trainable!r}.")
    lr_mult = check_number('lr_mult', options.get('lr_mult', 1.0), low=0.0, owner=where)
    return Phase(name, until, loss if said is None else said, sampler, trainable, lr_mult)
