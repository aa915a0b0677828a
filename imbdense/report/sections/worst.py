"""The worst images of every rare class: image, truth, prediction."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from imbdense.report.images import data_uri, draw_boxes, fit, hex_rgb, overlay_label, read_index, read_rgb
from imbdense.report.page import swatch, tabs
from imbdense.report.story import Story
from imbdense.report.workdir import Run

SIDE = 420


def worst_section(story: Story) -> str:
    """One tab per experiment (its first run that stored pictures), the rarest class first."""
    panes = []
    for experiment in story.experiments:
        run = next((run for run in experiment.runs if run.worst), None)
        if run is not None:
            panes.append((experiment.name, _gallery(story, run)))
    body = tabs(panes)
    if not body:
        return ''
    return body + (
        '<p class="note">The images of the last evaluation in which the rare class went most wrong; a window '
        'around the errors where the image is large. Left the image, then the truth, then the prediction.</p>'
    )


def _gallery(story: Story, run: Run) -> str:
    """All records of a run by class."""
    names = [record.get('class') for record in run.worst if isinstance(record, dict)]
    order = [name for name in story.rare if name in names]
    order += [name for name in dict.fromkeys(names) if name in story.classes and name not in order]
    parts = []
    for name in order:
        shown = [
            _triple(story, run, record)
            for record in run.worst
            if isinstance(record, dict) and record.get('class') == name
        ]
        parts.append(f'<h4>{swatch(story.colours[name])}{escape(name)}</h4><div class="triples">{"".join(shown)}</div>')
    return ''.join(parts)


def _triple(story: Story, run: Run, record: dict[str, Any]) -> str:
    """One image with its two overlays; unreadable files become a line of text."""
    try:
        pictures = _pictures(story, run.worst_dir, record)
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        name, reason = escape(str(record.get('file'))), escape(str(error))
        return f'<p class="note">{name}: the stored picture cannot be read ({reason}).</p>'
    figures = ''.join(
        f'<figure><img src="{data_uri(fit(picture, SIDE))}" alt="{title}"><figcaption>{title}</figcaption></figure>'
        for title, picture in zip(('image', 'truth', 'prediction'), pictures)
    )
    caption = f'{escape(str(record.get("file")))} · {_words(record)}'
    return f'<div class="triple">{figures}<div class="cap">{caption}</div></div>'


def _pictures(story: Story, folder: Path, record: dict[str, Any]) -> list[Any]:
    """The three pictures of a record."""
    image = read_rgb(folder / record['image'])
    colours = [hex_rgb(story.colours[name]) for name in story.classes]
    focus = story.classes.index(record['class'])
    if record.get('kind') == 'detection':
        truth, found = record['truth_boxes'], record['predicted_boxes']
        return [
            image,
            draw_boxes(
                image,
                [b[:4] for b in truth],
                [colours[int(b[4])] for b in truth],
                [_label(story, b, focus) for b in truth],
            ),
            draw_boxes(
                image,
                [b[:4] for b in found],
                [colours[int(b[4])] for b in found],
                [f'{_label(story, b, focus)} {b[5]:.2f}' for b in found],
            ),
        ]
    truth, found = read_index(folder / record['truth']), read_index(folder / record['prediction'])
    return [image, overlay_label(image, truth, colours, focus), overlay_label(image, found, colours, focus)]


def _label(story: Story, box: list[float], focus: int) -> str:
    """The class name on boxes of the rare class only, to keep crowded images readable."""
    return story.classes[int(box[4])] if int(box[4]) == focus else ''


def _words(record: dict[str, Any]) -> str:
    """What went wrong, in numbers."""
    if record.get('kind') == 'detection':
        return f'{record.get("missed", 0)} of {record.get("objects", 0)} objects missed, {record.get("false", 0)} false'
    return (
        f'IoU {100 * float(record.get("iou") or 0):.1f} % in this image; {int(record.get("truth_pixels") or 0):,} '
        f'true, {int(record.get("predicted_pixels") or 0):,} predicted pixels'
    )
