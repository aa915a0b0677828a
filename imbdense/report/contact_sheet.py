"""Contact sheets: one page per class with what the pipeline makes of its images, and an index, rarest class first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from imbdense.report.images import Picture, data_uri, fit
from imbdense.report.page import page, swatch, table

SIDE = 380
THUMB = 150


@dataclass(frozen=True)
class Shot:
    """One drawn sample: file, picture with overlay, and how much of the class is left in it (pixels or objects)."""

    file: str
    picture: Picture
    amount: int
    words: str


@dataclass(frozen=True)
class Sheet:
    """One class: name, colour, images that hold it, its total amount and share in percent, drawn samples."""

    name: str
    colour: str
    images: int
    total: int
    share: float
    shots: Sequence[Shot]

    @property
    def file(self) -> str:
        """Name of the page."""
        return f'class_{re.sub("[^A-Za-z0-9]+", "-", self.name).strip("-").lower() or "x"}.html'

    @property
    def kept(self) -> int:
        """How many samples still show the class after cropping and augmentation."""
        return sum(shot.amount > 0 for shot in self.shots)


def class_page(sheet: Sheet, title: str, unit: str) -> str:
    """The page of one class."""
    figures = ''.join(
        f'<figure><img src="{data_uri(fit(shot.picture, SIDE))}" alt="{escape(shot.file)}"><figcaption>'
        f'{escape(shot.file)}<br>{_amount(shot)}</figcaption></figure>'
        for shot in sheet.shots
    )
    head = (
        f'<p>{swatch(sheet.colour)}{sheet.total:,} {unit} in {sheet.images:,} images, {sheet.share:.3g} % of all. '
        f'{_kept(sheet)} <a href="index.html">All classes</a></p>'
    )
    return page(
        f'{sheet.name}',
        escape(title),
        [('Samples', 'Samples from the pipeline', f'{head}<div class="shots">{figures}</div>')],
    )


def index_page(sheets: Sequence[Sheet], title: str, unit: str, note: str) -> str:
    """Table of the classes, rarest first, with small pictures that lead to the pages."""
    rows = []
    for sheet in sheets:
        thumbs = ''.join(
            f'<a href="{sheet.file}"><img class="thumb" src="{data_uri(fit(shot.picture, THUMB), 75)}" alt=""></a>'
            for shot in sorted(sheet.shots, key=lambda shot: -shot.amount)[:4]
        )
        link = f'<a href="{sheet.file}">{escape(sheet.name)}</a>' if sheet.shots else escape(sheet.name)
        kept = f'{sheet.kept} of {len(sheet.shots)}' if sheet.shots else '–'
        rows.append(
            [swatch(sheet.colour) + link, f'{sheet.images:,}', f'{sheet.total:,}', f'{sheet.share:.3g} %', kept, thumbs]
        )
    body = table(['class', 'images', unit, 'share', 'left after the pipeline', ''], rows, css='middle')
    return page(title, escape(note), [('Classes', 'Classes, rarest first', body)])


def _amount(shot: Shot) -> str:
    """What is left of the class in a sample; nothing left is marked."""
    return escape(shot.words) if shot.amount else '<b class="down">the class is gone in this sample</b>'


def _kept(sheet: Sheet) -> str:
    """How often the class survives the pipeline."""
    if not sheet.shots:
        return 'No image holds it.'
    return f'In {sheet.kept} of {len(sheet.shots)} samples something of it is left after crop and augmentation.'
