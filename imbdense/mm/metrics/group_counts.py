"""Where the counts behind the frequency groups come from, and saying so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MessageHub
from numpy.typing import ArrayLike, NDArray

from imbdense.core.metrics.groups import FrequencyGroups, GroupSpec, make_groups
from imbdense.core.stats import ClassCounts

HUB_KEY = 'imbdense_class_counts'
"""Key under which ``imbdense.ClassCountHook`` leaves the counts of the training set in the message hub."""

CountsArg = Sequence[float] | str | os.PathLike[str] | None


def resolve_groups(
    spec: GroupSpec,
    class_counts: CountsArg,
    count: str,
    classes: Sequence[str],
    fallback: ArrayLike,
    fallback_source: str,
    given_source: str = 'class_counts of the config',
) -> tuple[FrequencyGroups, NDArray[np.float64]]:
    """Return the groups and the counts behind them.

    Args:
        spec: see :func:`imbdense.core.metrics.groups.make_groups`.
        class_counts: one number per class, the path of a ``class_counts.json``, or ``None``: then the counts of the
            training set that a ``ClassCountHook`` left in the message hub, else ``fallback``.
        count: the unit read from a ``class_counts.json`` (``'pixels'``, ``'images'``, ``'instances'``, ...).
        fallback, fallback_source: counts of the evaluated set and their name.
        given_source: the name of counts given as numbers.
    """
    counts, source = _resolve_counts(class_counts, count, list(classes))
    if counts is None:
        counts, source = np.asarray(fallback, dtype=np.float64), fallback_source
    source = source or given_source
    return make_groups(spec, counts, classes, source=source), counts


def _resolve_counts(
    class_counts: CountsArg, count: str, classes: list[str]
) -> tuple[NDArray[np.float64] | None, str]:
    """(counts or ``None``, where they are from in words; '' for numbers)."""
    if isinstance(class_counts, (str, os.PathLike)):
        path = Path(class_counts)
        if not path.is_file():
            raise FileNotFoundError(f'class_counts: {path} does not exist; write it with `imbdense stats CONFIG`.')
        record = ClassCounts.from_json(path.read_text(encoding='utf-8'))
        return _of(record, count, classes), f'{record.word(count)} in {path.name}'
    if class_counts is not None:
        return np.asarray(class_counts, dtype=np.float64), ''
    found: Any = MessageHub.get_current_instance().get_info(HUB_KEY)
    if isinstance(found, dict):
        found = ClassCounts.from_dict(found)
    if isinstance(found, ClassCounts) and set(classes) <= set(found.classes) and count in found.units:
        return _of(found, count, classes), f'{found.word(count)} of the training set'
    return None, ''


def _of(record: ClassCounts, count: str, classes: list[str]) -> NDArray[np.float64]:
    """The counts of ``classes`` in their order."""
    return record.select(classes).of(count).astype(np.float64)
