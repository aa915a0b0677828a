"""The worst images of every rare class: image, truth, prediction."""

from __future__ import annotations

from html import escape
from typing import Any

from imbdense.report.images import data_uri, fit
from imbdense.report.page import swatch, tabs
from imbdense.report.pictures import UNREADABLE, draw_record, numbers_of, records_of
from imbdense.report.story import Story
from imbdense.report.workdir import Run

SIDE = 420


def worst_section(story: Story) -> str:
    """One tab per experiment (its first run that stored pictures), the rarest class first."""
    panes = []
    for experiment in story.experiments:
        run = next((run for run in experiment.runs if records_of(run, 'worst')), None)
        if run is not None:
            panes.append((experiment.name, _gallery(story, run)))
    body = tabs(panes)
    if not body:
        return ''
    return body + (
        '<p class="note">The images of the last evaluation in which the rare class went most wrong; a window round the '
        'errors where the image is large. Masks: the rare class is outlined; boxes: it is named.</p>'
    )


def _gallery(story: Story, run: Run) -> str:
    """All records of a run by class."""
    names = dict.fromkeys(record.get('class') for record in records_of(run, 'worst'))
    order = [name for name in story.rare if name in names]
    order += [name for name in names if name in story.classes and name not in order]
    parts = []
    for name in order:
        shown = ''.join(_triple(story, run, record) for record in records_of(run, 'worst', name))
        parts.append(f'<h4>{swatch(story.colours[name])}{escape(name)}</h4><div class="triples">{shown}</div>')
    return ''.join(parts)


def _triple(story: Story, run: Run, record: dict[str, Any]) -> str:
    """One image with its two overlays; unreadable files become a line of text."""
    name = escape(str(record.get('file')))
    try:
        pictures = draw_record(story, run, record)
        caption = f'{name} · {escape(numbers_of(record))}'
    except UNREADABLE as error:
        return f'<p class="note">{name}: the stored picture cannot be read ({escape(str(error))}).</p>'
    figures = ''.join(
        f'<figure><img src="{data_uri(fit(picture, SIDE))}" alt="{title}"><figcaption>{title}</figcaption></figure>'
        for title, picture in zip(('image', 'truth', 'prediction'), pictures)
    )
    return f'<div class="triple">{figures}<div class="cap">{caption}</div></div>'
