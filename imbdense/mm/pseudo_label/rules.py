"""Build a pseudo-label rule and let it count: detections of a training step, or the saved predictions of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.pseudo_label import PseudoLabeler, QuantileThreshold
from imbdense.core.pseudo_label.labelled_counts import LabelledCounts
from imbdense.core.pseudo_label.rounds import RoundThreshold
from imbdense.core.stats import ClassCounts
from imbdense.data.outputs.store import OutputStore
from imbdense.mm.pseudo_label.outputs import LEVELS, ImageFile, Record, png_array, readable
from imbdense.registry import PSEUDO_LABELERS
from imbdense.utils.distributed import rank_and_world


def build_rule(rule: Mapping[str, Any], num_classes: int, labelled: ClassCounts | None = None) -> PseudoLabeler:
    """The rule of a config; ``num_classes`` is filled in where it is missing.

    Args:
        labelled: counts of the labelled set, for rules that need them and were not given any.

    Raises:
        ValueError: it is for another number of classes.
        TypeError: it is no rule but something else of the registry.
    """
    settings = {'num_classes': num_classes, **rule}
    name = settings.pop('type')
    # Not registry.build: the host would look for its own scope in a registry that has none, and warn.
    cls = PSEUDO_LABELERS.get(name)
    if cls is None or not issubclass(cls, PseudoLabeler):
        raise TypeError(f'{name} is no pseudo-label rule; `imbdense list pseudo_labeler` shows them.')
    built: PseudoLabeler = cls(**settings)
    if built.num_classes != num_classes:
        raise ValueError(f'{name}: num_classes is {built.num_classes}, but the model has {num_classes} classes.')
    if labelled is not None:
        for module in built.modules():
            if isinstance(module, LabelledCounts):
                module.bind(labelled)
    return built


def observe(rule: PseudoLabeler, scores: Tensor, labels: Tensor, images: int) -> None:
    """Let the rule count the detections of one training step, as far as it counts anything.

    Rules that think in rounds count items. To the others a detection is one row of probabilities with its score at its
    class and nothing elsewhere: its largest probability and its class are the right ones. Across ranks: every rank must
    call it equally often; what is counted is summed.

    Args:
        scores: (M,). labels: (M,) int64. M may be 0. images: they come from.
    """
    if isinstance(rule, RoundThreshold):
        _count(rule, scores, labels, images)
        return
    probs = torch.zeros(len(scores), rule.num_classes, device=scores.device)
    rule(probs.scatter_(1, labels[:, None], scores.float()[:, None]))


def fit_rule(rule: PseudoLabeler, store: OutputStore, images: Sequence[ImageFile], min_score: float) -> None:
    """Set the thresholds from all saved predictions: one round. Rules with fixed thresholds stay as they are.

    Across ranks: the images are shared and the counts summed, so every rank has the thresholds that one alone would.

    Args:
        min_score: boxes below are not counted; pixels are all counted.

    Raises:
        TypeError: a rule that only learns while training.
    """
    if not isinstance(rule, RoundThreshold):
        if rule.state_dict():
            raise TypeError(f'{type(rule).__name__} learns its thresholds in training; it cannot be used off-line.')
        return
    rank, world = rank_and_world()
    nothing = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    for place, (_, record) in enumerate(_padded(store, images, world)):
        if place % world == rank:
            scores, labels = nothing if record is None else _items(record, min_score)
            _count(rule, scores, labels, int(record is not None and 'scores' in record))
    rule.end_round()


def defined_thresholds(rule: PseudoLabeler, predicted: NDArray[np.int64]) -> list[float | None]:
    """(C,) thresholds; ``None`` for a class without any prediction to learn one from."""
    learned = isinstance(rule, RoundThreshold)
    return [None if learned and count == 0 else float(value) for value, count in zip(rule.thresholds(), predicted)]


def _count(rule: RoundThreshold, scores: Tensor, labels: Tensor, images: int) -> None:
    """Count items; the number of images matters to the rule that compares it with the labelled ones."""
    if isinstance(rule, QuantileThreshold):
        rule.observe(scores, labels, images)
    else:
        rule.observe(scores, labels)


def _padded(store: OutputStore, images: Sequence[ImageFile], world: int) -> Any:
    """The readable records, then ``None`` until every rank has equally many."""
    count = 0
    for pair in readable(store, images):
        count += 1
        yield pair
    yield from [(None, None)] * (-count % world)


def _items(record: Record, min_score: float) -> tuple[Tensor, Tensor]:
    """(confidences, classes) of the boxes or pixels of an image."""
    if 'scores' in record:
        counted = record['scores'] >= min_score
        return torch.from_numpy(record['scores'][counted]), torch.from_numpy(record['labels'][counted])
    confidence = torch.from_numpy(png_array(record['confidence']).reshape(-1).copy())
    return confidence.float() / LEVELS, torch.from_numpy(png_array(record['label']).reshape(-1).copy()).long()
