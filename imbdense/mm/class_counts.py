"""Class counts as configs write them: a list, a path, the content of a file; and the unit to take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from imbdense.core.checks import check_counts
from imbdense.core.stats import ClassCounts, CountUnit

ClassCountsSource = Sequence[float] | str | Mapping[str, Any]
UNITS: tuple[str, ...] = get_args(CountUnit)


def default_unit(counts: ClassCounts) -> str:
    """'pixels' if they were counted, else 'instances', else the first unit there is."""
    for unit in ('pixels', 'instances'):
        if unit in counts.units:
            return unit
    if not counts.units:
        raise ValueError('the class counts hold no unit at all; write them anew with `imbdense stats CONFIG`.')
    return counts.units[0]


def class_counts_of(source: ClassCountsSource, count: str | None, owner: str) -> Tensor:
    """Return (C,) float64 counts of a list, of a file, or of the content of a file, in unit ``count`` of the latter."""
    if not isinstance(source, (str, Mapping)):
        return check_counts(source, owner=owner)
    stored = load_class_counts(source, owner)
    return check_counts(torch.as_tensor(stored.of(count or default_unit(stored))), owner=owner)


def load_class_counts(source: Any, owner: str) -> ClassCounts:
    """Read ``class_counts.json`` from a path, or take its content."""
    if isinstance(source, Mapping):
        return ClassCounts.from_dict(dict(source))
    path = Path(source)
    try:
        text = path.read_text('utf-8')
    except OSError as error:
        raise ValueError(
            f'{owner}: class_counts={source!r} can not be read ({error.strerror}). Write it with '
            f'`imbdense stats CONFIG`, or leave class_counts out and add the hook imbdense.ClassCountHook.'
        ) from error
    try:
        return ClassCounts.from_json(text)
    except (ValueError, json.JSONDecodeError) as error:
        raise ValueError(f'{owner}: {path}: {error}') from error
