"""Does a probability mean what it says? Calibration errors and reliability, overall and of the rare classes."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from imbdense.report.comparison import Experiment, Interval
from imbdense.report.page import details, swatch, table
from imbdense.report.sections.artifacts import class_records, record_interval, scalar_interval
from imbdense.report.story import Story
from imbdense.report.svg import legend, unit_panel

OVERALL = (
    ('ECE', 'expected calibration error of the winning class'),
    ('cwECE', 'class-wise calibration error'),
    ('NLL', 'negative log-likelihood, mean over pixels'),
    ('mNLL', 'the same, mean over classes'),
    ('Brier', 'Brier score'),
)
Points = list[tuple[float, float]]


def calibration_section(story: Story) -> str:
    """Table of the overall errors, reliability panels, per-class table."""
    rows = []
    for key, words in OVERALL:
        cells = [scalar_interval(experiment, 'calibration', key) for experiment in story.experiments]
        if not all(math.isnan(value) for value, _ in cells):
            rows.append([f'{key} <span class="note">{words}</span>', *map(_plain, cells)])
    if not rows:
        return ''
    lines = [_points(_top_bins(experiment)) for experiment in story.experiments]
    panels = unit_panel('winning class', lines, story.series, 'confidence', 'correct', diagonal=True)
    for name in story.rare:
        lines = [_points(class_records(e, 'calibration').get(name, {}).get('reliability')) for e in story.experiments]
        panels += unit_panel(name, lines, story.series, 'probability', 'observed', diagonal=True)
    key = legend(story.series) if len(story.experiments) > 1 else ''
    note = 'On the diagonal a probability is what it says; below it the model is too sure. Bins of the first seed.'
    return (
        table(['measure (0 is perfect)', *map(escape, story.series)], rows)
        + f'{key}<div class="panels">{panels}</div><p class="note">{note}</p>{_class_table(story)}'
    )


def _class_table(story: Story) -> str:
    """Mean probability minus share of each class: positive = predicted too boldly."""
    rows = []
    for name in story.by_rarity():
        cells = [record_interval(experiment, 'calibration', name, 'gap', 100.0) for experiment in story.experiments]
        if not all(math.isnan(value) for value, _ in cells):
            rows.append([swatch(story.colours[name]) + escape(name), *map(_plain, cells)])
    if not rows:
        return ''
    return details(
        'Mean probability minus share, per class (percent points)', table(['class', *map(escape, story.series)], rows)
    )


def _top_bins(experiment: Experiment) -> Any:
    """Bins of the winning class from the first run that stored them."""
    for run in experiment.runs:
        artifact = run.last.artifacts.get('calibration') if run.last else None
        if artifact and artifact.get('reliability'):
            return artifact['reliability']
    return None


def _points(bins: Any) -> Points:
    """(confidence, accuracy) of the filled bins."""
    if not isinstance(bins, dict):
        return []
    pairs = zip(bins.get('confidence') or [], bins.get('accuracy') or [])
    return [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]


def _plain(interval: Interval) -> str:
    """Three significant digits; these measures live on different scales."""
    mean, half = interval
    if math.isnan(mean):
        return '–'
    return f'{mean:.3g}' if math.isnan(half) else f'{mean:.3g} ± {half:.2g}'
