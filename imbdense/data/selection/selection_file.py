"""``selection.json``: the chosen images with their reasons, and what is needed to repeat the choice."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.core.selection import Choice, ObjectPool, Selection

FORMAT = 1
KIND = 'selection'


class SelectionError(ValueError):
    """A file of a selection, or what it is applied to, cannot be used; the message names it."""


def selection_record(
    selection: Selection, pool: ObjectPool, *, budget: float, selected: Sequence[str] = (), pool_path: str = ''
) -> dict[str, Any]:
    """The content of the file.

    ``records`` in the order of choice, each {image_id, rank, gain, reason: {class, cluster, object, rule}}: rank from
    0, class by name, object = row of the pool; ``None`` where there is none, also for a gain that is not finite.

    Args:
        pool: that was chosen from. budget: what was asked for. selected: ids of what was labelled before.
    """
    records = [
        {'image_id': name, 'rank': rank, 'gain': _finite(choice.gain), 'reason': _reason(choice, pool)}
        for rank, (name, choice) in enumerate(zip(selection.image_ids, selection.choices))
    ]
    return {
        'format': FORMAT, 'kind': KIND, 'selector': _plain(selection.selector), 'seed': selection.seed,
        'budget': budget, 'total_cost': selection.cost, 'pool': {'path': pool_path, 'images': pool.num_images,
                                                                 'fingerprint': selection.fingerprint},
        'selected': list(selected), 'records': records, 'report': _plain(selection.report),
        'notes': list(selection.notes),
    }  # fmt: skip


def read_selection(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a ``selection.json``.

    Raises:
        SelectionError: missing, no JSON, or not a selection.
    """
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise SelectionError(f'{path} does not exist. `imbdense select run` writes one.') from error
    except (OSError, ValueError) as error:
        raise SelectionError(f'{path} cannot be read ({error}). Select again.') from error
    if not is_selection(record) or record.get('format') != FORMAT:
        raise SelectionError(f'{path} is no selection of format {FORMAT}. `imbdense select run` writes one.')
    return dict(record)


def is_selection(record: Any) -> bool:
    """Whether the content of a JSON file is a selection, of any format."""
    return isinstance(record, dict) and record.get('kind') == KIND and isinstance(record.get('records'), list)


def _reason(choice: Choice, pool: ObjectPool) -> dict[str, Any]:
    """Why an image was chosen."""
    return {
        'class': pool.classes[choice.klass] if choice.klass >= 0 else None,
        'cluster': int(choice.cluster) if choice.cluster >= 0 else None,
        'object': int(choice.row) if choice.row >= 0 else None, 'rule': choice.rule,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as JSON types; other objects by their ``repr``."""
    if isinstance(value, dict) or hasattr(value, 'items'):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return _finite(value)
    return value if value is None or isinstance(value, (str, int, bool)) else repr(value)
