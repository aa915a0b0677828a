"""Per-class results and the groups head / medium / tail."""

from __future__ import annotations

import math
from html import escape

from imbdense.report.comparison import class_interval, group_interval
from imbdense.report.measures import PER_CLASS, Scale
from imbdense.report.page import details, swatch, table
from imbdense.report.story import Story
from imbdense.report.svg import Row, column_chart, dot_plot, legend, number


def class_section(story: Story) -> str:
    """Dot plot over the classes, most frequent on top, and the table behind it."""
    rows = [
        Row(
            name,
            story.colours[name],
            [class_interval(e, story.scale, name) for e in story.experiments],
            name in story.rare,
        )
        for name in story.by_rarity()
    ]
    if not any(not math.isnan(value) for row in rows for value, _ in row.values):
        return ''
    key = legend(story.series) if len(story.experiments) > 1 else ''
    note = (
        f'{story.scale.measure} in percent; most frequent class on top, the rarest in bold at the bottom. Whiskers: '
        '95 % interval over the seeds. A class without a true pixel or object has no dot and is in no mean.'
    )
    return key + dot_plot(rows, story.series, story.scale.measure) + f'<p class="note">{note}</p>' + _tables(story)


def group_section(story: Story) -> str:
    """Columns per group with what is in the group."""
    if not story.groups:
        return ''
    groups = [
        (name, [group_interval(e, story.scale, members) for e in story.experiments])
        for name, members in story.groups.items()
    ]
    if not any(not math.isnan(value) for _, values in groups for value, _ in values):
        return ''
    members = ''.join(
        f'<li><b>{escape(name)}</b>: {escape(", ".join(names))}</li>' for name, names in story.groups.items()
    )
    key = legend(story.series) if len(story.experiments) > 1 else ''
    chart = column_chart(groups, story.series, story.scale.measure)
    return f'{key}<div class="flow"><div>{chart}</div><ul>{members}</ul></div>'


def _tables(story: Story) -> str:
    """Every per-class measure that was logged, one table each."""
    blocks = []
    for measure in PER_CLASS:
        scale = Scale(measure, None, story.scale.factor)
        values = {n: [class_interval(e, scale, n) for e in story.experiments] for n in story.by_rarity()}
        if not any(not math.isnan(value) for cells in values.values() for value, _ in cells):
            continue
        rows = [
            [swatch(story.colours[n]) + escape(n), *(number(*cell) for cell in cells)] for n, cells in values.items()
        ]
        blocks.append(details(f'Table: {measure} per class', table(['class', *map(escape, story.series)], rows)))
    return ''.join(blocks)
