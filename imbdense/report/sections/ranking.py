"""Ranking of the scores over all thresholds: AUROC and average precision with their chance levels."""

from __future__ import annotations

import math
from html import escape

from imbdense.report.page import swatch, table
from imbdense.report.sections.artifacts import class_records, curve_lines, record_interval
from imbdense.report.story import Story
from imbdense.report.svg import legend, number, unit_panel

MEASURES = (('auroc', 'AUROC'), ('ap', 'average precision'), ('fpr95', 'false positives at 95 % recall'))


def ranking_section(story: Story) -> str:
    """A table per measure, rarest class last, and precision–recall panels of the rare classes."""
    if not any(class_records(experiment, 'ranking') for experiment in story.experiments):
        return ''
    body = f'<div class="flow">{"".join(_measure_table(story, key, title) for key, title in MEASURES)}</div>'
    panels = ''.join(
        unit_panel(
            name, curve_lines(story, 'ranking', name, 'curve', 'tpr', 'precision'), story.series, 'recall', 'precision'
        )
        for name in story.rare
    )
    if panels:
        key = legend(story.series) if len(story.experiments) > 1 else ''
        body += f'<h3>Precision and recall of the rare classes</h3>{key}<div class="panels">{panels}</div>'
    return body + (
        '<p class="note">Chance level: AUROC 50 %, average precision = the share of the class, given beside it. '
        'A small range behind a value is its rigorous bound where scores were binned.</p>'
    )


def _measure_table(story: Story, key: str, title: str) -> str:
    """One measure for all classes, in percent."""
    rows = []
    for name in story.by_rarity():
        cells = [record_interval(experiment, 'ranking', name, key, 100.0) for experiment in story.experiments]
        if all(math.isnan(value) for value, _ in cells):
            continue
        bounds = [_bounds(story, place, name, key) for place in range(len(cells))]
        row = [swatch(story.colours[name]) + escape(name), *(number(*c) + b for c, b in zip(cells, bounds))]
        if key == 'ap':
            row.append(_chance(story, name))
        rows.append(row)
    if not rows:
        return ''
    header = ['class', *map(escape, story.series)] + (['chance'] if key == 'ap' else [])
    return f'<div><h3>{title}, %</h3>{table(header, rows)}</div>'


def _bounds(story: Story, place: int, name: str, key: str) -> str:
    """' [lo, hi]' of the first run when the bounds differ visibly."""
    record = class_records(story.experiments[place], 'ranking').get(name, {})
    low, high = record.get(f'{key}_lo'), record.get(f'{key}_hi')
    if low is None or high is None or 100 * (high - low) < 0.05:
        return ''
    return f' <small class="note">[{100 * low:.1f}, {100 * high:.1f}]</small>'


def _chance(story: Story, name: str) -> str:
    """Prevalence of the class, the average precision of guessing."""
    for experiment in story.experiments:
        value = class_records(experiment, 'ranking').get(name, {}).get('prevalence')
        if value is not None:
            return f'{100 * value:.2g}'
    return '–'
