"""Change between dates: scores with their protocol named, transitions, kinds of change."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from imbdense.report.comparison import Experiment
from imbdense.report.page import details, table
from imbdense.report.sections.artifacts import scalar_interval
from imbdense.report.story import Story
from imbdense.report.svg import number

MEASURES = (
    ('change', 'scd/sem/SeK', 'SeK, protocol sem'),
    ('change', 'scd/from_to/SeK', 'SeK, protocol from_to'),
    ('change', 'scd/sem/F_scd', 'F_scd, protocol sem'),
    ('change', 'scd/from_to/F_scd', 'F_scd, protocol from_to'),
    ('change', 'scd/mIoU', 'mIoU of changed or not'),
    ('change', 'scd/sem/Score', 'Score, protocol sem'),
    ('change', 'scd/macro_recall', 'mean recall of land cover inside changes'),
    ('change', 'scd/lt_recall_tail', 'the same, rarest third'),
    ('change', 'trans/macro_iou', 'mean IoU of transitions'),
    ('change', 'trans/lt_recall_tail', 'mean recall of the rarest third of transitions'),
    ('change', 'bcd/F1', 'F1 of change'),
    ('change', 'bcd/IoU', 'IoU of change'),
    ('binary_change', 'bcd/F1', 'F1 of change'),
    ('binary_change', 'bcd/precision', 'precision of change'),
    ('binary_change', 'bcd/recall', 'recall of change'),
    ('binary_change', 'bcd/IoU', 'IoU of change'),
    ('binary_change', 'bcd/AP', 'average precision of change'),
    ('post_classification', 'pcc/change/F1', 'F1 of change, two maps compared'),
    ('post_classification', 'pcc/change/IoU', 'IoU of change, two maps compared'),
    ('post_classification', 'pcc/change/false_change', 'unchanged called changed (0 is perfect)'),
    ('post_classification', 'pcc/kinds/macro_iou', 'mean IoU of the kinds of change'),
    ('xview2', 'xview2/score', 'xView2 score'),
    ('xview2', 'xview2/F1_loc', 'F1 of buildings'),
    ('xview2', 'xview2/F1_dam', 'harmonic F1 of damage'),
    ('dynamic_earth_net', 'den/SCS', 'SCS'),
    ('dynamic_earth_net', 'den/BC', 'BC, binary change'),
    ('dynamic_earth_net', 'den/SC', 'SC, semantic change'),
)
MOST_TRANSITIONS = 40


def change_section(story: Story) -> str:
    """One table of the scores that any run has, and per experiment its transitions."""
    rows = []
    for kind, key, words in MEASURES:
        cells = [scalar_interval(experiment, kind, key, 100.0) for experiment in story.experiments]
        if not all(math.isnan(value) for value, _ in cells):
            bounds = [_bounds(experiment, kind, key) for experiment in story.experiments]
            rows.append([words, *(number(*cell) + bound for cell, bound in zip(cells, bounds))])
    if not rows:
        return ''
    note = (
        'The two protocols of SeK give different numbers for the same maps; compare like with like. Ranges in brackets '
        'come from resampled blocks of space of the first run, ± from seeds.'
    )
    lists = ''.join(
        details(f'Transitions of {experiment.label}', body)
        for experiment in story.experiments
        if (body := _transitions(experiment))
    )
    return table(['measure, %', *map(escape, story.series)], rows) + f'<p class="note">{note}</p>{lists}'


def _bounds(experiment: Experiment, kind: str, key: str) -> str:
    """' [lo, hi]' of the first run, where it has intervals."""
    ends = ((_artifact(experiment, kind) or {}).get('intervals') or {}).get(key)
    if not ends or None in ends:
        return ''
    return f' <small class="note">[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]</small>'


def _transitions(experiment: Experiment) -> str:
    """The most frequent transitions of the first run: pixels or hectares in label and prediction, and what was hit."""
    for kind in ('change', 'post_classification'):
        records = ((_artifact(experiment, kind) or {}).get('transitions') or {}).get('records') or []
        records = [record for record in records if record['from'] != record['to']]
        if records:
            area = 'labelled_ha' in records[0]
            header = ['from', 'to', *(f'{name}, {"ha" if area else "pixels"}' for name in ('labelled', 'predicted')),
                      'recall, %', 'IoU, %']  # fmt: skip
            rows = [_row(record, '_ha' if area else '') for record in records[:MOST_TRANSITIONS]]
            more = len(records) - MOST_TRANSITIONS
            return table(header, rows) + (f'<p class="note">and {more} rarer ones</p>' if more > 0 else '')
    return ''


def _row(record: dict[str, Any], unit: str) -> list[str]:
    """One transition."""
    amounts = [record[f'{name}{unit}'] for name in ('labelled', 'predicted')]
    shares = [record.get(name) for name in ('recall', 'IoU')]
    return [
        escape(record['from']),
        escape(record['to']),
        *(f'{amount:,.2f}' if unit else f'{amount:,}' for amount in amounts),
        *('–' if share is None else f'{100 * share:.1f}' for share in shares),
    ]


def _artifact(experiment: Experiment, kind: str) -> dict[str, Any] | None:
    """The artefact of the first run that has one."""
    for run in experiment.runs:
        if run.last and kind in run.last.artifacts:
            return run.last.artifacts[kind]
    return None
