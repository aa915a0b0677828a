"""Transitions that nature does not make: found in a change map, and mended or flagged."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice

Action = Literal['keep_from', 'next_best', 'flag']
ACTIONS: tuple[str, ...] = ('next_best', 'keep_from', 'flag')
OPERATORS = {'<=': operator.le, '>=': operator.ge, '<': operator.lt, '>': operator.gt, '==': operator.eq}
PLACE = re.compile(r'\s*(\w+)\s*(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)\s*')


@dataclass(frozen=True)
class TransitionRule:
    """A transition that cannot be, perhaps only at some places.

    Attributes:
        from_, to: class indices at date 1 and date 2.
        where: 'layer > number' (also <, <=, >=, ==) of a layer that is given with the maps, such as 'slope > 35';
            ``None`` = everywhere. A pixel where the layer is NaN violates nothing.
        action: 'next_best' = the best class of date 2 that violates no rule; 'keep_from' = the class of date 1 (hides
            the change); 'flag' = only mark the pixel.
        name: for messages and counts.
    """

    from_: Sequence[int]
    to: Sequence[int]
    where: str | None = None
    action: Action = 'next_best'
    name: str = ''

    def __post_init__(self) -> None:
        check_choice('action', self.action, ACTIONS, owner='TransitionRule')
        if not self.from_ or not self.to:
            raise ValueError(f'TransitionRule {self.name!r}: from_ and to must each name at least one class.')
        if self.where is not None and not PLACE.fullmatch(self.where):
            raise ValueError(f"TransitionRule {self.name!r}: where must be like 'slope > 35', but is {self.where!r}.")

    def places(self, layers: Mapping[str, Tensor]) -> Tensor | bool:
        """Where the rule holds: a bool map, or ``True`` = everywhere."""
        if self.where is None:
            return True
        layer, sign, number = PLACE.fullmatch(self.where).groups()  # type: ignore[union-attr]
        if layer not in layers:
            raise ValueError(
                f'TransitionRule {self.name!r} needs the layer {layer!r}, but only {sorted(layers)} are given.'
            )
        return OPERATORS[sign](layers[layer], float(number))


class PhysicalConstraints:
    """Apply :class:`TransitionRule` to a pair of maps.

    Args:
        rules: the rules or their fields as dicts. A pixel that breaks several is mended by 'keep_from' if one of them
            says so, else by 'next_best'.
    """

    def __init__(self, rules: Sequence[TransitionRule | Mapping[str, object]]) -> None:
        self.rules = tuple(
            rule if isinstance(rule, TransitionRule) else TransitionRule(**rule)  # type: ignore[arg-type]
            for rule in rules
        )

    def __call__(
        self,
        first: Tensor,
        second: Tensor,
        scores: Tensor | None = None,
        layers: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return (mended classes of date 2, violated bool), both of the shape of the maps.

        Args:
            first, second: integer classes at both dates, any shape S; 255 violates nothing.
            scores: (K, *S) of date 2, larger = better (probabilities); needed by 'next_best'. Where no class is
                allowed the class of date 1 is taken.
            layers: name -> map of shape S, such as slope in degrees and height in metres.

        Raises:
            ValueError: a layer or the scores are missing, or shapes differ.
        """
        layers = layers or {}
        self._check(first, second, scores, layers)
        mended, violated = second.clone(), torch.zeros_like(second, dtype=torch.bool)
        keep, ask = violated.clone(), violated.clone()
        for rule in self.rules:
            hit = _among(first, rule.from_) & _among(second, rule.to) & rule.places(layers)
            violated |= hit
            if rule.action == 'keep_from':
                keep |= hit
            elif rule.action == 'next_best':
                ask |= hit
        ask &= ~keep
        mended[keep] = first[keep]
        if scores is not None and bool(ask.any()):
            mended[ask] = self._next_best(first[ask], scores[:, ask], {n: layer[ask] for n, layer in layers.items()})
        return mended, violated

    def _next_best(self, first: Tensor, scores: Tensor, layers: Mapping[str, Tensor]) -> Tensor:
        """Best class of date 2 at each of P pixels that no rule forbids."""
        left = scores.float().clone()
        for rule in self.rules:
            if rule.action == 'flag':
                continue
            banned = _among(first, rule.from_) & rule.places(layers)
            for klass in rule.to:
                left[klass, banned] = -torch.inf
        best, winner = left.max(0)
        return torch.where(best > -torch.inf, winner, first).to(first.dtype)

    def _check(self, first: Tensor, second: Tensor, scores: Tensor | None, layers: Mapping[str, Tensor]) -> None:
        """Raise unless everything lies on one grid."""
        maps = {'second': second, **layers, **({} if scores is None else {'scores[0]': scores[0]})}
        for name, value in maps.items():
            if value.shape != first.shape:
                raise ValueError(
                    f'PhysicalConstraints: {name} has shape {tuple(value.shape)}, first {tuple(first.shape)}.'
                )
        if scores is None and any(rule.action == 'next_best' for rule in self.rules):
            raise ValueError(
                "PhysicalConstraints: rules with action='next_best' need the scores of date 2; give them, or use "
                "action='keep_from' or 'flag'."
            )


def habitalp_rules(
    *, first: int = 1, backward_stage: bool = False, action: Action = 'next_best'
) -> list[TransitionRule]:
    """The rules of Kristen et al. (2025) for the 23 HabitAlp classes.

    Args:
        first: number of the first class: 1 = ids of the label rasters (1 ... 23, 0 = no data); 0 = class indices, as a
            model of 23 classes and the data set of ``imbdense prepare habitalp`` have them.
        backward_stage: also forbid any step back to an earlier forest stage. Left out by default: windthrow, fire and
            felling are such steps, and the rule would erase every one.
    """
    young, pole, mature, old = [6, 7], [8, 9, 10], [11, 12, 13, 14], [15, 16, 17, 18]
    water, rock, alpine = [1], [5], [20, 22]
    everything = range(1, 24)
    found = [
        TransitionRule([1, 2, 3, 4, 5, 19, 21, 22, 23], mature + old, None, action, 'non-forest to mature forest'),
        TransitionRule(young, old, None, action, 'young growth to old forest'),
        TransitionRule(rock, [21, 22], None, action, 'rock to grassland'),
        TransitionRule([k for k in everything if k not in water], water, 'slope > 35', action, 'water on a slope'),
        TransitionRule([k for k in everything if k not in alpine], alpine, 'height < 650', action,
                       'alpine vegetation in the lowland'),
    ]  # fmt: skip
    if backward_stage:
        found += [
            TransitionRule(pole, young, None, action, 'pole wood to young growth'),
            TransitionRule(mature, young + pole, None, action, 'mature forest to an earlier stage'),
            TransitionRule(old, young + pole + mature, None, action, 'old forest to an earlier stage'),
        ]
    return [replace(rule, from_=_moved(rule.from_, first - 1), to=_moved(rule.to, first - 1)) for rule in found]


def _moved(classes: Sequence[int], by: int) -> list[int]:
    """Class numbers counted from elsewhere."""
    return [klass + by for klass in classes]


def _among(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Where the label is one of ``classes``."""
    return torch.isin(labels, torch.as_tensor(list(classes), dtype=labels.dtype, device=labels.device))
