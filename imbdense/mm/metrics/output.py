"""What a metric shows and leaves: a table in the log, and a JSON-able artefact."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

from imbdense.core.metrics.groups import FrequencyGroups


def log_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str] = ()) -> None:
    """Print one table to the run's log (rank 0 decides by its log level); numbers are right-aligned."""
    table = Table(title=title, title_justify='left')
    for position, name in enumerate(header):
        table.add_column(name, justify='left' if position == 0 else 'right')
    for row in rows:
        table.add_row(*[show(value) for value in row])
    stream = io.StringIO()
    Console(file=stream, width=160, color_system=None).print(table)
    print_log('\n' + stream.getvalue() + '\n'.join(notes), logger='current')


def show(value: Any) -> str:
    """A cell: counts with thousands separators, scores with four digits, NaN as a dash."""
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f'{int(value):,}'
    if math.isnan(value):
        return '–'
    return f'{value:,.0f}' if value >= 2 and value.is_integer() else f'{value:.4f}'


def group_notes(groups: FrequencyGroups, classes: Sequence[str], absent: Sequence[int] = ()) -> list[str]:
    """Lines that say which classes are in which group, by which count, and which classes are in no mean."""
    notes = [
        f'{name}: {", ".join(classes[index] for index in members) or "(no class)"}'
        for name, members in groups.members.items()
    ]
    notes.insert(0, f'Groups by {groups.source}:')
    if groups.ungrouped:
        notes.append(f'in no group: {", ".join(classes[index] for index in groups.ungrouped)}')
    if len(absent):
        notes.append(f'Absent from the evaluated set, left out of every mean: {", ".join(classes[i] for i in absent)}')
    return notes


def jsonable(value: Any) -> Any:
    """Plain Python of a nested value: arrays to lists, NaN and infinities to ``None``."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def artifact_head(
    kind: str, classes: Sequence[str], counts: ArrayLike, groups: FrequencyGroups, scalars: Mapping[str, float]
) -> dict[str, Any]:
    """The keys every artefact has; ``counts`` are those behind the groups."""
    return {
        'kind': kind,
        'classes': list(classes),
        'counts': [int(count) if float(count).is_integer() else float(count) for count in np.asarray(counts).tolist()],
        'counts_source': groups.source,
        'groups': groups.members,
        'scalars': scalars,
    }
