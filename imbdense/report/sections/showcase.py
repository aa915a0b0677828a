"""Before and after: the same places of the same images in the baseline and in the best experiment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from imbdense.report.images import Picture, data_uri, fit
from imbdense.report.page import swatch
from imbdense.report.pictures import UNREADABLE, draw_record, numbers_of, records_of
from imbdense.report.story import Story

SIDE = 320
PER_CLASS = 2


@dataclass(frozen=True)
class Comparison:
    """One place: image, truth, and the predictions of baseline and best, with what the numbers say."""

    name: str
    file: str
    image: Picture
    truth: Picture
    before: Picture
    after: Picture
    words: tuple[str, str]


def showcase_section(story: Story) -> str:
    """Rows of image, truth, baseline, best for every rare class; '' with a single experiment."""
    if story.best is None:
        return ''
    titles = ('image', 'truth', escape(story.baseline.name), escape(story.best.name))
    parts = []
    for name in story.rare:
        rows = []
        for place in comparisons(story, name):
            pictures = (place.image, place.truth, place.before, place.after)
            captions = (titles[0], titles[1], *(f'{title}: {words}' for title, words in zip(titles[2:], place.words)))
            figures = ''.join(
                f'<figure><img src="{data_uri(fit(picture, SIDE))}" alt="{title}"><figcaption>{caption}</figcaption>'
                '</figure>'
                for picture, title, caption in zip(pictures, titles, captions)
            )
            rows.append(f'<div class="triple four">{figures}<div class="cap">{escape(place.file)}</div></div>')
        if rows:
            parts.append(
                f'<h4>{swatch(story.colours[name])}{escape(name)}</h4><div class="triples">{"".join(rows)}</div>'
            )
    if not parts:
        return ''
    return ''.join(parts) + (
        '<p class="note">Not picked by result: these are the evaluated images that hold most of the class in their '
        'labels. First seeds that stored them.</p>'
    )


def comparisons(story: Story, name: str, limit: int = PER_CLASS) -> Iterator[Comparison]:
    """Places of a class that both the baseline and the best experiment stored, most of the class first."""
    if story.best is None:
        return
    before = next((run for run in story.baseline.runs if records_of(run, 'showcase', name)), None)
    after = next((run for run in story.best.runs if records_of(run, 'showcase', name)), None)
    if before is None or after is None:
        return
    theirs = {(r.get('file'), str(r.get('window'))): r for r in records_of(after, 'showcase', name)}
    found = 0
    for record in records_of(before, 'showcase', name):
        twin = theirs.get((record.get('file'), str(record.get('window'))))
        if twin is None or found >= limit:
            continue
        with contextlib.suppress(*UNREADABLE):
            image, truth, first = draw_record(story, before, record)
            second = draw_record(story, after, twin)[2]
            found += 1
            yield Comparison(
                name, str(record['file']), image, truth, first, second, (numbers_of(record), numbers_of(twin))
            )
