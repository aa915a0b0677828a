"""The training labels in numbers."""

from __future__ import annotations

from html import escape

import numpy as np

from imbdense.core.stats.indices import imbalance_indices
from imbdense.report.page import details, swatch, table
from imbdense.report.sections.data_tables import cooccurrence_table, size_table
from imbdense.report.story import Story, word_of
from imbdense.report.svg import log_bars

COLUMNS = ('pixels', 'regions', 'instances', 'images')


def data_section(story: Story) -> str:
    """Bars of the class counts, the imbalance indices, the table, the prior ledger."""
    if story.counts is None or story.counts.sum() == 0:
        return ''
    order = np.argsort(-story.counts, kind='stable').tolist()
    shares = 100 * story.counts / story.counts.sum()
    bars = [
        (
            story.classes[i],
            story.colours[story.classes[i]],
            float(story.counts[i]),
            f'{shares[i]:.3g} %' if story.counts[i] else 'none',
            story.classes[i] in story.rare,
        )
        for i in order
    ]
    index = imbalance_indices(story.counts)
    sentence = (
        f'Imbalance ratio <b>{index["imbalance_ratio"]:,.0f} : 1</b> (most frequent to rarest class). As many '
        f'equally frequent classes as <b>{index["effective_number"]:.1f} of {len(story.classes)}</b> would have '
        f'this entropy; Gini {index["gini"]:.2f}, evenness {index["shannon_evenness"]:.2f}.'
    )
    extra = ''
    if story.record.get('num_images'):
        extra = f' {story.record["num_images"]:,} {word_of("images", story.record)} were counted.'
        if story.record.get('ignored_pixels'):
            pixels = word_of('pixels', story.record)
            extra += f' {story.record["ignored_pixels"]:,} {pixels} carry the ignore label.'
    chart = log_bars(bars, f'{story.unit} per class, logarithmic')
    return (
        f'<p>{sentence}{extra}</p>{chart}<p class="note">{escape(story.unit.capitalize())} per class in the training '
        f'labels, logarithmic axis; the rarest classes in colour.</p>{_count_table(story, order)}'
        f'{size_table(story, order)}{cooccurrence_table(story, order)}{_ledger(story)}'
    )


def _count_table(story: Story, order: list[int]) -> str:
    """All counted units."""
    units = [unit for unit in COLUMNS if story.record.get(unit) and len(story.record[unit]) == len(story.classes)]
    if not units:
        return ''
    rows = []
    for i in order:
        name = story.classes[i]
        rows.append(
            [swatch(story.colours[name]) + escape(name), *(f'{int(story.record[unit][i]):,}' for unit in units)]
        )
    heads = [word_of(unit, story.record) + ' with it' * (unit == 'images') for unit in units]
    return details('All counts', table(['class', *heads], rows))


def _ledger(story: Story) -> str:
    """Who changed the class prior in each experiment."""
    blocks = [
        (experiment.name, text)
        for experiment in story.experiments
        if (text := next((run.info['ledger'] for run in experiment.runs if run.info.get('ledger')), None))
    ]
    if not blocks:
        return ''
    body = ''.join(f'<h3>{escape(name)}</h3><pre>{escape(text)}</pre>' for name, text in blocks)
    return details('Prior ledger: what each component leaves of the class distribution', body)
