"""Object sizes and co-occurrence of the training labels as heat tables."""

from __future__ import annotations

from html import escape

import numpy as np

from imbdense.report.page import details
from imbdense.report.story import Story, word_of
from imbdense.report.svg import shorten

MAX_CLASSES = 40


def size_table(story: Story, order: list[int]) -> str:
    """Share of the objects of each class per power of two of their area; '' when sizes were not counted."""
    sizes = _matrix(story, 'object_sizes')
    if sizes is None or sizes.sum() == 0:
        return ''
    used = np.flatnonzero(sizes.sum(axis=0))
    columns = list(range(int(used[0]), int(used[-1]) + 1))
    shares = 100 * sizes / np.maximum(sizes.sum(axis=1, keepdims=True), 1)
    heads = [f'≥ {2**b:,}' for b in columns]
    rows = [(story.classes[i], [shares[i, b] for b in columns]) for i in order]
    note = '<p class="note">Percent of the objects of a class by area in pixels (regions in segmentation).</p>'
    return details('Object sizes', _heat(heads, rows) + note)


def cooccurrence_table(story: Story, order: list[int]) -> str:
    """Percent of the images with the row's class that also hold the column's; '' when it was not counted."""
    table = _matrix(story, 'cooccurrence')
    if table is None or table.shape[0] != table.shape[1] or len(order) > MAX_CLASSES:
        return ''
    shares = 100 * table / np.maximum(np.diag(table)[:, None], 1)
    heads = [story.classes[j] for j in order]
    rows = [(story.classes[i], [shares[i, j] for j in order]) for i in order]
    images = word_of('images', story.record)
    note = (
        f'<p class="note">Percent of the {images} with the class of the row that also hold the class of the column.</p>'
    )
    return details('Which classes occur together', _heat(heads, rows) + note)


def _matrix(story: Story, name: str) -> np.ndarray | None:
    """A per-class table of the stored counts, rows in label order; ``None`` when absent or of other classes."""
    values = story.record.get(name)
    if not values or list(story.record.get('classes') or ()) != story.classes or len(values) != len(story.classes):
        return None
    return np.asarray(values, dtype=np.float64)


def _heat(heads: list[str], rows: list[tuple[str, list[float]]]) -> str:
    """Coloured cells in percent, row-wise readable."""
    head = ''.join(f'<th title="{escape(name)}">{escape(shorten(name, 12))}</th>' for name in heads)
    body = ''
    for name, values in rows:
        cells = ''.join(
            f'<td style="background:rgba(var(--heat),{0.02 + 0.93 * value / 100:.3f});'
            f'{"color:#fff;" if value > 55 else ""}">{f"{value:.0f}" if value >= 0.5 else ""}</td>'
            for value in (min(v, 100.0) for v in values)
        )
        body += f'<tr><th title="{escape(name)}">{escape(shorten(name))}</th>{cells}</tr>'
    top = f'<thead><tr><th></th>{head}</tr></thead>'
    return f'<div class="scroll"><table class="conf">{top}<tbody>{body}</tbody></table></div>'
