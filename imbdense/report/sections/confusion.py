"""What the rare classes are taken for: the row-normalised confusion table."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from imbdense.report.comparison import Experiment
from imbdense.report.page import tabs
from imbdense.report.story import Story
from imbdense.report.svg import shorten

NUMBERS_UP_TO = 22


def confusion_section(story: Story) -> str:
    """One heat map per experiment (seeds added up) with a sentence about the rare classes."""
    panes = []
    for experiment in story.experiments:
        table = confusion_table(experiment, len(story.classes))
        if table is not None:
            panes.append((experiment.label, _sentences(story, table) + _heat_map(story, table)))
    if not panes:
        return ''
    note = (
        'Row: true class, most frequent on top; column: prediction; every row adds up to 100 %. The diagonal is the '
        'recall. Seeds are added up.'
    )
    return tabs(panes) + f'<p class="note">{note}</p>'


def confusion_table(experiment: Experiment, size: int) -> np.ndarray | None:
    """Sum (C, C) of the last confusion tables of an experiment; ``None`` without one of the right size."""
    total = None
    for run in experiment.runs:
        artifact = run.last.artifacts.get('confusion') if run.last else None
        table = find_table(artifact)
        if table is not None and table.shape == (size, size):
            total = table if total is None else total + table
    return total


def find_table(artifact: dict[str, Any] | None) -> np.ndarray | None:
    """The square table in an artefact, below ``tables`` or at the top."""
    if not artifact:
        return None
    places = [artifact.get('tables') or {}, artifact]
    for place in places:
        for key in ('confusion', 'confusion_matrix', 'table', 'matrix'):
            value = place.get(key) if isinstance(place, dict) else None
            if isinstance(value, list) and value and isinstance(value[0], list) and len(value) == len(value[0]):
                return np.asarray([[0 if cell is None else cell for cell in row] for row in value], dtype=np.float64)
    return None


def _heat_map(story: Story, table: np.ndarray) -> str:
    """The table as coloured cells."""
    order = [story.classes.index(name) for name in story.by_rarity()]
    names = [story.classes[i] for i in order]
    shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    many = len(order) > NUMBERS_UP_TO
    limit = 30 if many else 12
    head = ''.join(f'<th title="{escape(name)}">{escape(shorten(name, limit))}</th>' for name in names)
    body = []
    for i, name in zip(order, names):
        absent = table[i].sum() == 0
        cells = ''.join(_cell(story.classes, shares, i, j, absent) for j in order)
        body.append(f'<tr><th title="{escape(name)}">{escape(shorten(name, 22))}</th>{cells}</tr>')
    css = 'conf many' if many else 'conf'
    top = f'<thead><tr><th></th>{head}</tr></thead>'
    return f'<div class="scroll"><table class="{css}">{top}<tbody>{"".join(body)}</tbody></table></div>'


def _cell(classes: list[str], shares: np.ndarray, i: int, j: int, absent: bool) -> str:
    """One cell; strong colours get light text."""
    value = shares[i, j]
    text = '' if absent else f'{value:.0f}' if value >= 0.5 else ''
    ink = 'color:#fff;' if value > 55 else ''
    style = f'background:rgba(var(--heat),{0.02 + 0.93 * value / 100:.3f});{ink}'
    hint = f'{classes[i]} → {classes[j]}: {value:.2f} %'
    return f'<td{" class=d" if i == j else ""} style="{style}" title="{escape(hint)}">{text}</td>'


def _sentences(story: Story, table: np.ndarray) -> str:
    """For every rare class: found, and mostly taken for what."""
    lines = []
    for name in story.rare:
        i = story.classes.index(name)
        total = table[i].sum()
        if total == 0:
            lines.append(f'<li><b>{escape(name)}</b> does not occur in the evaluated set.</li>')
            continue
        found = 100 * table[i, i] / total
        others = [j for j in np.argsort(-table[i]).tolist() if j != i and table[i, j] > 0][:2]
        taken = ', '.join(f'{escape(story.classes[j])} ({100 * table[i, j] / total:.0f} %)' for j in others)
        lines.append(
            f'<li><b>{escape(name)}</b>: {found:.0f} % found'
            + (f', else taken for {taken}' if taken else '')
            + '.</li>'
        )
    return f'<ul>{"".join(lines)}</ul>' if lines else ''
