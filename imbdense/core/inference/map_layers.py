"""From class scores to the layers of a map: labels, change, kinds of change, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.core.inference.planes import argmax_planes, softmax_planes

STEPS = 254
"""Probabilities are stored as round(p * 254), so that 255 stays free for "no data"."""

PROBABILITIES = ('confidence', 'p_change', 'entropy')
"""The layers that hold no classes."""

Comparison = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""(p1, p2), each (S, h, w) -> land cover at each date and the probability of a change, each (h, w)."""


@dataclass(frozen=True)
class ScoreGroup:
    """Channels of a model that share one softmax, or one sigmoid channel.

    Attributes:
        name: ``label``, ``change``, ``t1`` or ``t2``.
        channels: how many. threshold: of the sigmoid of a single channel; ``None`` = softmax.
        unchanged_channel: channel 0 of ``t1`` / ``t2`` means "unchanged at this date" instead of a land cover.
    """

    name: str
    channels: int
    threshold: float | None = None
    unchanged_channel: bool = False


@dataclass(frozen=True)
class MapLayer:
    """One raster of the result: ``uint8`` or ``uint16``; the largest value means "no data"."""

    name: str
    dtype: str

    @property
    def nodata(self) -> int:
        """255 or 65535."""
        return 255 if self.dtype == 'uint8' else 65535


def available_layers(groups: Sequence[ScoreGroup]) -> tuple[MapLayer, ...]:
    """The layers a model can give, the main one first.

    * ``label``: class of a one-date model; ``confidence``: probability of that class;
    * ``change``: 0 = unchanged, 1, ... = changed (kind of change); ``p_change``: 1 - P(unchanged);
    * ``label_t1``, ``label_t2``: land cover at each date; ``from_to``: 0 = unchanged, 1 + i * S + j = from land cover
      i to j of S (uint16);
    * ``entropy``: of the class (of the change, where there is one), divided by its maximum log C.

    Raises:
        ValueError: groups that belong to no known kind of model, or more kinds of change than a uint16 can hold.
    """
    by_name = {group.name: group for group in groups}
    layers = []
    if set(by_name) == {'label'}:
        layers = [MapLayer('label', _label_dtype(by_name['label'])), MapLayer('confidence', 'uint8')]
    elif set(by_name) == {'change'}:
        layers = [MapLayer('change', _label_dtype(by_name['change'])), MapLayer('p_change', 'uint8')]
    elif set(by_name) in ({'t1', 't2'}, {'change', 't1', 't2'}):
        covers = _covers(by_name['t1'])
        if covers != _covers(by_name['t2']) or covers**2 >= 65534:
            raise ValueError(f'both dates need the same land-cover classes, at most 255; they have {covers} and '
                             f'{_covers(by_name["t2"])}.')
        main = _label_dtype(by_name['change']) if 'change' in by_name else 'uint8'
        layers = [MapLayer('change', main), MapLayer('p_change', 'uint8')]
        layers += [MapLayer(f'label_{date}', _label_dtype(by_name[date])) for date in ('t1', 't2')]
        layers.append(MapLayer('from_to', 'uint16'))
    else:
        raise ValueError(f'a model with the outputs {sorted(by_name)} makes no known map; known are label; change; t1 '
                         f'and t2; change, t1 and t2.')
    return (*layers, MapLayer('entropy', 'uint8')) if 'change' in by_name or 'label' in by_name else tuple(layers)


class MapMaker:
    """Turns the scores of one piece of the raster into its layers.

    Args:
        groups: what the channels of the scores mean, in order.
        wanted: names of layers, a part of :func:`available_layers`.
        compare: how two classifications become a change map, for models with ``t1`` and ``t2`` only; default: changed
            where the most likely classes differ, with p_change = 1 - sum_k p1(k) p2(k).
    """

    def __init__(
        self, groups: Sequence[ScoreGroup], wanted: Sequence[str], compare: Comparison | None = None
    ) -> None:
        known = {layer.name: layer for layer in available_layers(groups)}
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(f'the layers of this model are {", ".join(known)}, not {", ".join(unknown) or "none"}.')
        self.groups, self.layers = tuple(groups), tuple(layer for name, layer in known.items() if name in wanted)
        self.channels = sum(group.channels for group in groups)
        self._compare = compare
        self._wanted = set(wanted)
        self._one_group = len(groups) == 1 or 'change' in {group.name for group in groups}

    @property
    def needs_probabilities(self) -> bool:
        """Whether labels alone, which logits give as well, are not enough."""
        labels = {'label', 'change', 'label_t1', 'label_t2', 'from_to'} if self._one_group else set()
        return bool(self._wanted - labels)

    @property
    def covers(self) -> int:
        """Number S of land covers; 0 where the model tells none."""
        return next((_covers(group) for group in self.groups if group.name == 't1'), 0)

    def probabilities(self, scores: Tensor, factor: Tensor) -> Tensor:
        """Class probabilities of logits (C, h, w), times ``factor`` (h, w); in place where they are float32."""
        scores = scores.float()
        for group, part in zip(self.groups, self._split(scores)):
            if group.threshold is None:
                softmax_planes(part, factor)
            else:
                part.sigmoid_().mul_(factor)
        return scores

    def from_logits(self, scores: Tensor) -> dict[str, Tensor]:
        """Layers of one tile from its logits (C, h, w)."""
        if not self.needs_probabilities:
            return self._layers(self._labels(scores, logits=True), {})
        labels = self._labels(scores, logits=True) if self._one_group else {}
        return self._layers(labels, self._named(self.probabilities(scores, torch.ones_like(scores[0]))))

    def from_probabilities(self, scores: Tensor) -> dict[str, Tensor]:
        """Layers of a piece from averaged class probabilities (C, h, w)."""
        return self._layers(self._labels(scores, logits=False) if self._one_group else {}, self._named(scores))

    def _labels(self, scores: Tensor, *, logits: bool) -> dict[str, Tensor]:
        """Class of every group whose class is asked for."""
        found = {}
        for group, part in zip(self.groups, self._split(scores)):
            if group.threshold is not None:
                found[group.name] = ((part[0].sigmoid() if logits else part[0]) > group.threshold).to(torch.uint8)
            elif group.name in ('label', 'change') or {'from_to', f'label_{group.name}'} & self._wanted:
                found[group.name] = argmax_planes(part)
        return found

    def _layers(self, labels: dict[str, Tensor], p: dict[str, Tensor]) -> dict[str, Tensor]:
        """Everything that was asked for."""
        found: dict[str, Tensor] = {}
        if not self._one_group:
            first, second, p_change = (self._compare or _compare_argmax)(p['t1'], p['t2'])
            labels = {'t1': first, 't2': second, 'change': (first != second).to(torch.uint8)}
            found['p_change'] = quantised(p_change)
        main = 'label' if 'label' in labels else 'change'
        found[main] = labels[main]
        if 'p_change' in self._wanted and 'p_change' not in found:
            found['p_change'] = quantised(p['change'][0] if p['change'].shape[0] == 1 else 1 - p['change'][0])
        if 'confidence' in self._wanted:
            found['confidence'] = quantised(_largest(p['label']))
        if 'entropy' in self._wanted:
            found['entropy'] = quantised(_entropy(p[main]))
        covers = {group.name: group for group in self.groups if group.name in ('t1', 't2')}
        for date in covers:
            if date in labels:
                found[f'label_{date}'] = _without_unchanged(labels[date], covers[date])
        if 'from_to' in self._wanted:
            found['from_to'] = _from_to(labels['change'], found['label_t1'], found['label_t2'], _covers(covers['t1']))
        return {name: value for name, value in found.items() if name in self._wanted}

    def _split(self, scores: Tensor) -> Sequence[Tensor]:
        """The channels of each group, as views."""
        return scores.split([group.channels for group in self.groups])

    def _named(self, scores: Tensor) -> dict[str, Tensor]:
        """The channels of each group by name."""
        return {group.name: part for group, part in zip(self.groups, self._split(scores))}


def quantised(probability: Tensor) -> Tensor:
    """round(p * 254) as uint8; each step is one correctly rounded operation, so bytes do not depend on the piece."""
    return (probability * STEPS).add_(0.5).clamp_(0, STEPS).to(torch.uint8)


def _compare_argmax(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Most likely classes, and the probability that two independent dates differ."""
    same = first[0] * second[0]
    for one, two in zip(first[1:], second[1:]):
        same.add_(one * two)
    return argmax_planes(first), argmax_planes(second), 1 - same


def _from_to(changed: Tensor, first: Tensor, second: Tensor, covers: int) -> Tensor:
    """Kind of change; 65534 where a pixel changed but the model does not tell from what to what."""
    kind = first.to(torch.int32) * covers + second + 1
    kind[(first >= covers) | (second >= covers)] = 65534
    kind[changed == 0] = 0
    return kind


def _without_unchanged(label: Tensor, group: ScoreGroup) -> Tensor:
    """Land cover 0 ... S - 1 of a group with an "unchanged" channel; 255 where that channel won."""
    return label - 1 if group.unchanged_channel else label  # a uint8 0 becomes 255


def _largest(p: Tensor) -> Tensor:
    """Largest plane; of a single sigmoid channel, the larger of p and 1 - p."""
    return torch.maximum(p[0], 1 - p[0]) if p.shape[0] == 1 else p.amax(0)


def _entropy(p: Tensor) -> Tensor:
    """Entropy in units of its maximum (h, w); in float64, so that its last bits cannot reach the stored byte."""
    p = p.double()
    if p.shape[0] == 1:
        p = torch.cat([p, 1 - p])
    return -torch.special.xlogy(p, p).sum(0) / math.log(p.shape[0])


def _covers(group: ScoreGroup) -> int:
    """Number of land-cover classes."""
    return group.channels - int(group.unchanged_channel)


def _label_dtype(group: ScoreGroup) -> str:
    """Room for the classes and for "no data"."""
    return 'uint8' if group.channels <= 254 else 'uint16'
