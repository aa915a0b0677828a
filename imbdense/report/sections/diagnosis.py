"""Where each class is lost: what `imbdense diagnose` found, as a stacked bar per class and what mends it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from imbdense.report.comparison import Experiment
from imbdense.report.page import tabs
from imbdense.report.story import Story
from imbdense.report.svg import legend, shorten, svg
from imbdense.report.workdir import FOLDER

FILE = 'diagnosis.json'


def diagnosis_section(story: Story) -> str:
    """One pane per experiment with a diagnosis; '' without any."""
    panes = []
    for experiment in story.experiments:
        record = read_diagnosis(experiment)
        if record is not None and record['classes'] == story.classes:
            panes.append((experiment.label, _bars(story, record) + _findings(record)))
    return tabs(panes)


def read_diagnosis(experiment: Experiment) -> dict[str, Any] | None:
    """The diagnosis of the first run that has a readable one."""
    for run in experiment.runs:
        try:
            record = json.loads((run.path / FOLDER / FILE).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and {'classes', 'shares', 'measures', 'score', 'group_verdicts'} <= set(record):
            return record
    return None


def _bars(story: Story, record: dict[str, Any]) -> str:
    """Score and lost shares of every class, most frequent on top."""
    causes, score = list(record['shares']), record['score']
    left, width, step, top = 170, 560, 26, 4
    parts = []
    for place, name in enumerate(story.by_rarity()):
        c, y = record['classes'].index(name), top + step * place
        parts.append(f'<text class="t" x="4" y="{y + 15}">{escape(shorten(name))}</text>')
        values = [(score, record['measures'][score][c]), *((cause, record['shares'][cause][c]) for cause in causes)]
        x = float(left)
        for series, (label, value) in enumerate(values):
            if value is None:
                continue
            parts.append(
                f'<rect class="f{series % 8}" x="{x:.1f}" y="{y + 3}" width="{width * value:.1f}" height="16">'
                f'<title>{escape(name)}: {escape(label)} {100 * value:.1f}</title></rect>'
            )
            x += width * value
    height = top + step * len(story.classes) + 4
    chart = svg(left + width + 20, height, parts, f'{score} and what it lacks, per class')
    note = f'{escape(score)} of each class, then what it lacks to 100 by cause. From imbdense diagnose.'
    return legend([score, *causes]) + chart + f'<p class="note">{note}</p>'


def _findings(record: dict[str, Any]) -> str:
    """Main cause of every frequency group and its remedies."""
    lines = []
    for group, found in record['group_verdicts'].items():
        if found is None:
            continue
        what = ''.join(
            f'<br>{escape(remedy["text"])}: <code>{escape(remedy["config"])}</code>' for remedy in found['remedies']
        )
        share = '' if found['share'] is None else f' ({100 * found["share"]:.0f} of 100)'
        lines.append(f'<li><b>{escape(group)}</b>: {escape(found["cause"])}{share}{what}</li>')
    return f'<ul>{"".join(lines)}</ul>' if lines else ''
