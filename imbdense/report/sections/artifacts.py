"""Reaching into the artefacts of an experiment: values over its runs, records per class of its first run."""

from __future__ import annotations

from typing import Any

from imbdense.benchmark.summary import mean_interval
from imbdense.report.comparison import Experiment, Interval
from imbdense.report.story import Story


def class_records(experiment: Experiment, kind: str) -> dict[str, dict[str, Any]]:
    """Class name -> record of the artefact, from the first run that has one."""
    for run in experiment.runs:
        artifact = run.last.artifacts.get(kind) if run.last else None
        records = (artifact or {}).get('per_class')
        if isinstance(records, list):
            return {record['class']: record for record in records if isinstance(record, dict) and 'class' in record}
    return {}


def record_interval(experiment: Experiment, kind: str, name: str, key: str, factor: float = 1.0) -> Interval:
    """Mean and interval of one number of a class record over the runs."""
    values = []
    for run in experiment.runs:
        record = class_records(Experiment(experiment.name, [run]), kind).get(name, {})
        if isinstance(record.get(key), (int, float)):
            values.append(factor * record[key])
    return mean_interval(values)


def scalar_interval(experiment: Experiment, kind: str, key: str, factor: float = 1.0) -> Interval:
    """Mean and interval of a scalar of an artefact over the runs."""
    values = []
    for run in experiment.runs:
        artifact = run.last.artifacts.get(kind) if run.last else None
        value = ((artifact or {}).get('scalars') or {}).get(key)
        if isinstance(value, (int, float)):
            values.append(factor * value)
    return mean_interval(values)


def curve_lines(story: Story, kind: str, name: str, field: str, x: str, y: str) -> list[list[tuple[float, float]]]:
    """One (x, y) line per experiment out of ``record[field]``, [] where it is not stored or not drawable."""
    lines = []
    for experiment in story.experiments:
        curve = class_records(experiment, kind).get(name, {}).get(field)
        if not isinstance(curve, dict):
            lines.append([])
            continue
        pairs = zip(curve.get(x) or [], curve.get(y) or [])
        lines.append([(float(a), float(b)) for a, b in pairs if a is not None and b is not None and b >= 0])
    return lines
