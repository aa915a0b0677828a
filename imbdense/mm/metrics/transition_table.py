"""A record per transition, and the CSV of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from imbdense.core.metrics.change_scores import HistogramSums, class_scores
from imbdense.utils.files import atomic_write_text

COLUMNS = (
    'from', 'to', 'labelled', 'predicted', 'hit', 'IoU', 'F1', 'recall', 'labelled_ha', 'predicted_ha', 'hit_ha',
)  # fmt: skip


def transition_records(sums: HistogramSums, classes: Sequence[str], area: HistogramSums | None) -> list[dict[str, Any]]:
    """The transitions that labels or predictions hold, most labelled pixels first; hectares where ``area`` is given.

    Args:
        sums: of a ``from_to`` histogram of 1 + S^2 ids. classes: S names. area: the same sums in hectares.
    """
    scores, size = class_scores(sums), len(classes)
    held = np.flatnonzero((sums.labelled + sums.predicted)[1:]) + 1
    records = []
    for index in held[np.argsort(-sums.labelled[held], kind='stable')].tolist():
        record = {
            'from': classes[(index - 1) // size],
            'to': classes[(index - 1) % size],
            'labelled': int(sums.labelled[index]),
            'predicted': int(sums.predicted[index]),
            'hit': int(sums.agreed[index]),
            **{name: float(scores[name][index]) for name in ('IoU', 'F1', 'recall')},
        }
        if area is not None:
            record |= {
                'labelled_ha': float(area.labelled[index]),
                'predicted_ha': float(area.predicted[index]),
                'hit_ha': float(area.agreed[index]),
            }
        records.append(record)
    return records


def write_transitions(path: str, records: Sequence[dict[str, Any]]) -> None:
    """Write the records as CSV; undefined scores and unknown areas are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval='', lineterminator='\n')
    writer.writeheader()
    for record in records:
        writer.writerow({key: '' if value is None or value != value else value for key, value in record.items()})
    atomic_write_text(path, stream.getvalue())
