"""Which number means what: per-class values, group means and the overall mean out of flat metric keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imbdense.report.workdir import Run

PER_CLASS = ('IoU', 'AP', 'Dice', 'recall', 'precision')
"""Per-class measures, the one that leads the report first."""

MEANS = {
    'IoU': ('mIoU',),
    'AP': ('bbox_mAP', 'segm_mAP', 'mAP'),
    'Dice': ('mDice',),
    'recall': ('mRecall', 'mAcc'),
    'precision': ('mPrecision',),
}
RARE_LIMIT = 5


@dataclass(frozen=True)
class Scale:
    """The measure that leads the report and the factor that turns its values into percent."""

    measure: str
    mean_key: str | None
    factor: float


def class_value(scalars: dict[str, float], measure: str, name: str) -> float | None:
    """Value of one class, whatever prefix the key has (``coco/bbox_AP/x``); mmdet's ``x_precision`` is AP."""
    endings = [f'{measure}/{name}', f'bbox_{measure}/{name}', f'segm_{measure}/{name}']
    if measure == 'AP':
        endings.append(f'{name}_precision')
    for ending in endings:
        if ending in scalars:
            return scalars[ending]
        for key, value in scalars.items():
            if key.endswith(f'/{ending}'):
                return value
    return None


def class_values(scalars: dict[str, float], measure: str, classes: Sequence[str]) -> list[float | None]:
    """Values of all classes; ``None`` where the class was absent."""
    return [class_value(scalars, measure, name) for name in classes]


def plain_value(scalars: dict[str, float], names: Sequence[str]) -> tuple[str, float] | None:
    """The first key, with or without prefix, that is one of ``names``."""
    for name in names:
        for key, value in scalars.items():
            if key == name or key.endswith(f'/{name}'):
                return key, value
    return None


def choose_scale(runs: Sequence[Run], classes: Sequence[str]) -> Scale:
    """Pick the leading measure (IoU, else AP, …) and find out whether its values are fractions or percent."""
    every = [evaluation.scalars for run in runs for evaluation in run.evaluations]
    for measure in PER_CLASS:
        per_class = [v for scalars in every for v in class_values(scalars, measure, classes) if v is not None]
        means = [found for scalars in every if (found := plain_value(scalars, MEANS[measure])) is not None]
        if per_class or means:
            top = max([*per_class, *(value for _, value in means)])
            return Scale(measure, means[0][0] if means else None, 100.0 if top <= 1.0 else 1.0)
    return Scale('IoU', None, 100.0)


def group_members(runs: Sequence[Run], classes: Sequence[str]) -> dict[str, list[str]]:
    """Head / medium / tail as the metric grouped them; else thirds by the training counts; {} when neither is known."""
    for run in runs:
        for evaluation in reversed(run.evaluations):
            for artifact in evaluation.artifacts.values():
                members = _member_names(artifact.get('groups'), artifact.get('classes') or classes)
                if members and set().union(*members.values()) <= set(classes):
                    return _by_size(members, class_counts(runs, classes), classes)
    counts = class_counts(runs, classes)
    if counts is None or len(classes) < 2:
        return {}
    order = np.argsort(-counts, kind='stable').tolist()
    size = max(round(len(order) / 3), 1)
    parts = {'head': order[:size], 'medium': order[size:-size], 'tail': order[-size:]}
    return {name: [classes[i] for i in part] for name, part in parts.items() if part}


def count_record(runs: Sequence[Run]) -> dict[str, Any]:
    """The class counts of the training set, as the first run that knows them stored them."""
    for run in runs:
        record = run.info.get('class_counts')
        if isinstance(record, dict) and record.get('classes'):
            return record
    return {}


def count_unit(record: dict[str, Any]) -> str | None:
    """The unit that says how rare a class is: pixels for segmentation, else instances, else images."""
    return next((unit for unit in ('pixels', 'instances', 'images') if record.get(unit)), None)


def class_counts(runs: Sequence[Run], classes: Sequence[str]) -> np.ndarray | None:
    """(C,) training counts in label order; from the metric's artefact when the run did not store them."""
    record = count_record(runs)
    unit = count_unit(record)
    if unit is not None and set(record['classes']) >= set(classes):
        by_name = dict(zip(record['classes'], record[unit]))
        return np.asarray([by_name[name] for name in classes], dtype=np.float64)
    for run in runs:
        for evaluation in reversed(run.evaluations):
            for artifact in evaluation.artifacts.values():
                names, values = artifact.get('classes'), artifact.get('counts')
                if isinstance(names, list) and isinstance(values, list) and set(names) == set(classes):
                    by_name = dict(zip(names, values))
                    return np.asarray([by_name[name] or 0 for name in classes], dtype=np.float64)
    return None


def rare_classes(runs: Sequence[Run], classes: Sequence[str]) -> list[str]:
    """The rarest classes that occur, rarest first: the tail group, at most five."""
    counts = class_counts(runs, classes)
    if counts is None:
        return []
    occurring = [i for i in np.argsort(counts, kind='stable').tolist() if counts[i] > 0]
    size = min(max(round(len(classes) / 3), 1), RARE_LIMIT, max(len(occurring) - 1, 0))
    return [classes[i] for i in occurring[:size]]


def _by_size(members: dict[str, list[str]], counts: np.ndarray | None, classes: Sequence[str]) -> dict[str, list[str]]:
    """Groups in the order of their mean count, the head first."""
    if counts is None:
        return members
    size = {group: float(np.mean([counts[list(classes).index(n)] for n in names])) for group, names in members.items()}
    return {group: members[group] for group in sorted(members, key=lambda group: -size[group])}


def _member_names(groups: Any, classes: Sequence[str]) -> dict[str, list[str]]:
    """Group name -> class names, from names or indices, bare or below ``members``."""
    if not isinstance(groups, dict):
        return {}
    members = groups.get('members', groups)
    if not isinstance(members, dict):
        return {}
    named: dict[str, list[str]] = {}
    for group, items in members.items():
        if not isinstance(items, (list, tuple)):
            continue
        named[group] = [classes[i] if isinstance(i, int) and i < len(classes) else str(i) for i in items]
    return {group: items for group, items in named.items() if items and set(items) <= set(classes)}
