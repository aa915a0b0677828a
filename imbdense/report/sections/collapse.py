"""Do the classes keep apart in the last layer? Measures of neural collapse over training."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from imbdense.report.comparison import Experiment
from imbdense.report.page import details, swatch, table
from imbdense.report.story import Story
from imbdense.report.svg import legend, line_panel

PANELS = (
    ('tail_angle', 'smallest angle of tail vectors, degrees'),
    ('tail_head_norm_w', 'length of tail over head vectors'),
    ('tail_head_norm_h', 'length of tail over head means'),
    ('nc1', 'NC1: spread within classes'),
    ('nc2_etf_w', 'NC2: classifier to simplex'),
    ('nc2_offdiag_w', 'NC2: classifier to orthogonal'),
    ('nc3_etf', 'NC3: classifier to class means'),
    ('nc4', 'NC4: not the nearest mean'),
)
Points = list[tuple[float, float]]


def collapse_section(story: Story) -> str:
    """Small multiples over the iterations of the first run of each experiment, and lengths per class at the end."""
    lines = {key: [_line(experiment, key) for experiment in story.experiments] for key, _ in PANELS}
    panels = ''.join(
        line_panel(title, lines[key], story.series, high=None) for key, title in PANELS if any(lines[key])
    )
    if not panels:
        return ''
    key = legend(story.series) if len(story.experiments) > 1 else ''
    note = (
        'An angle near 0 or short vectors of the tail mean that rare classes are being given up (minority collapse). '
        'NC1 to NC4 are 0 when features and classifier have reached the geometry of balanced training.'
    )
    return f'{key}<div class="panels">{panels}</div><p class="note">{note}</p>{_class_table(story)}'


def _line(experiment: Experiment, key: str) -> Points:
    """(iteration, value) of the first run that measured it."""
    for run in experiment.runs:
        values = [(record['step'], (record.get('scalars') or {}).get(key)) for record in run.collapse]
        points = [(float(step), float(v)) for step, v in values if isinstance(v, (int, float)) and math.isfinite(v)]
        if points:
            return points
    return []


def _class_table(story: Story) -> str:
    """Length of classifier vector and class mean of every class at the last measurement."""
    last = [_last_classes(experiment) for experiment in story.experiments]
    rows = []
    for name in story.by_rarity():
        cells = [' / '.join(_number(found.get(name), key) for key in ('weight_norm', 'mean_norm')) for found in last]
        rows.append([swatch(story.colours[name]) + escape(name), *cells])
    title = 'Length of classifier vector / class mean at the last measurement'
    return details(title, table(['class', *map(escape, story.series)], rows))


def _last_classes(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Class name -> record of the last measurement of the first run that has one."""
    for run in experiment.runs:
        if run.collapse:
            records = run.collapse[-1].get('per_class')
            return {str(r.get('class')): r for r in records if isinstance(r, dict)} if isinstance(records, list) else {}
    return {}


def _number(record: dict[str, Any] | None, key: str) -> str:
    """Three digits, or a dash."""
    value = (record or {}).get(key)
    return f'{value:.3g}' if isinstance(value, (int, float)) and math.isfinite(value) else '–'
