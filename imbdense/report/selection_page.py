"""The page of ``imbdense select report``: what was chosen, why, and what of the pool it covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.core.selection import ObjectPool
from imbdense.report.images import data_uri, draw_boxes, fit, read_rgb
from imbdense.report.page import details, page, swatch, table
from imbdense.report.selection_map import selection_map
from imbdense.utils.overlay import Colour, distinct_colours

SIDE, THUMB = 300, 110
PER_CLASS = 24
"""Pictures shown of a class; the page would grow beyond what a browser likes."""
CONTEXT, LEAST_VIEW = 2.5, 48
"""Side of what is shown round an object, in sides of its box, and its least in pixels."""
UNNAMED = 'without a class'


def selection_page(record: Mapping[str, Any], pool: ObjectPool, images: Path | None) -> str:
    """The self-contained HTML of a ``selection.json``.

    Args:
        record: its content. pool: it was chosen from. images: folder of the images; ``None`` = no pictures.
    """
    place = {name: number for number, name in enumerate(pool.image_ids)}
    colours = distinct_colours(len(pool.classes))
    records = record['records']
    rows = [entry['reason']['object'] for entry in records if entry['reason']['object'] is not None]
    selector = ', '.join(f'{key}={value}' for key, value in record['selector'].items() if key != 'type')
    subtitle = escape(
        f'{record["selector"]["type"]}({selector}), seed {record["seed"]}: {len(records)} of {pool.num_images} images, '
        f'cost {record["total_cost"]:g}'
    )
    notes = ''.join(f'<p class="warn">{escape(note)}</p>' for note in record['notes'])
    return page(
        f'{len(records)} images to label',
        subtitle,
        [
            ('Classes', 'How much of each class is chosen', notes + _classes(record, pool, place, colours)),
            ('Map', 'Where in the pool the choice lies', _map(pool, rows, colours)),
            ('Images', 'The chosen images by class and cluster', _pictures(records, pool, colours, images)),
            ('Figures', "The selector's own figures", _figures(record['report'])),
        ],
    )


def _classes(
    record: Mapping[str, Any], pool: ObjectPool, place: Mapping[str, int], colours: Sequence[Colour]
) -> str:
    """Images that show each class in the pool, among those labelled before, and among the chosen ones; rarest first."""
    before = np.array([place[name] for name in record['selected']], np.int64)
    now = np.array([place[entry['image_id']] for entry in record['records']], np.int64)
    found = []
    for index, name in enumerate(pool.classes):
        own = np.asarray(pool.obj_image)[pool.rows_of_class(index)]
        showing = np.unique(own)
        reasons = sum(entry['reason']['class'] == name for entry in record['records'])
        chosen = int(np.isin(showing, now).sum())
        share = f'{100 * chosen / len(showing):.1f} %' if len(showing) else '–'
        found.append((len(showing), [
            swatch(_hex(colours[index])) + escape(name), f'{len(own):,}', f'{len(showing):,}',
            f'{int(np.isin(showing, before).sum()):,}', f'{chosen:,}', share, f'{reasons:,}',
        ]))  # fmt: skip
    found.sort(key=lambda item: item[0])
    if not found:
        return '<p class="note">The pool names no classes.</p>'
    header = ('class', 'objects in pool', 'images in pool', 'labelled before', 'chosen', 'share', 'chosen for it')
    return table(header, [row for _, row in found])


def _map(pool: ObjectPool, rows: Sequence[int], colours: Sequence[Colour]) -> str:
    """The map with its colour key."""
    drawn = selection_map(pool, rows, colours)
    if not drawn:
        return ''
    names = ''.join(f'<span>{swatch(_hex(colour))}{escape(name)}</span>' for name, colour in zip(pool.classes, colours))
    note = ('First two principal axes of the object features; near each other means alike to the model. Rings: objects '
            'an image was chosen for.')
    return f'<p class="legend">{names}</p>{drawn}<p class="note">{note}</p>'


def _pictures(
    records: Sequence[Mapping[str, Any]], pool: ObjectPool, colours: Sequence[Colour], images: Path | None
) -> str:
    """Pictures of each class in the order of its clusters, then of choice."""
    if images is None:
        return ''
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in records:
        groups.setdefault(entry['reason']['class'] or UNNAMED, []).append(entry)
    order = [*pool.classes, UNNAMED]
    parts = ['<p class="note">Each image stands under the class of the object it was chosen for, in the order of the '
             'clusters: the object with what is round it, and below the whole image. # is the order of choice, then '
             'the rule that chose, the gain in the measure of the selector, and the score of the object.</p>']
    for name in sorted(groups, key=order.index):
        entries = sorted(groups[name], key=lambda entry: (_number(entry['reason']['cluster']), entry['rank']))
        shots = ''.join(_shot(entry, pool, colours, images) for entry in entries[:PER_CLASS])
        clusters = len({entry['reason']['cluster'] for entry in entries} - {None})
        words = f'images: {len(entries)}' + (f', clusters: {clusters}' if clusters else '')
        words += f'; the first {PER_CLASS} are shown' if len(entries) > PER_CLASS else ''
        square = swatch(_hex(colours[order.index(name)])) if name != UNNAMED else ''
        parts.append(f'<h3>{square}{escape(name)}</h3><p class="note">{words}</p><div class="shots">{shots}</div>')
    return ''.join(parts)


def _shot(entry: Mapping[str, Any], pool: ObjectPool, colours: Sequence[Colour], images: Path) -> str:
    """The object an image was chosen for, the image, and why."""
    reason, name = entry['reason'], entry['image_id']
    row, words = reason['object'], [f'#{entry["rank"] + 1}', reason['rule']]
    words += [] if reason['cluster'] is None else [f'cluster {reason["cluster"]}']
    words += [f'gain {entry["gain"]:.3g}'] if entry['gain'] else []
    words += [] if row is None else [f'score {pool.obj_score[row]:.2f}']
    caption = f'{escape(", ".join(word for word in words if word))}<br>{escape(name)}'
    try:
        picture = read_rgb(images / name)
    except OSError:
        return f'<figure><figcaption>{caption}<br>the picture cannot be read</figcaption></figure>'
    if row is None:
        shown = [picture]
    else:
        klass, box = int(pool.obj_class[row]), pool.obj_box[row].tolist()
        colour = colours[klass] if klass >= 0 else (255, 255, 255)
        shown = [draw_boxes(picture, [box], [colour], [''], max(2, max(picture.shape[:2]) // 100))]
        view = around(box, picture.shape[:2])
        if view is not None:
            left, top, right, bottom = view
            local = [box[0] - left, box[1] - top, box[2] - left, box[3] - top]
            shown.insert(0, draw_boxes(picture[top:bottom, left:right], [local], [colour], [''], 1))
    drawn = ''.join(
        f'<img {css}src="{data_uri(fit(part, side))}" alt="">'
        for part, css, side in zip(shown, ('', 'class="thumb" '), (SIDE, THUMB))
    )
    return f'<figure>{drawn}<figcaption>{caption}</figcaption></figure>'


def around(box: Sequence[float], size: Sequence[int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of the square round a box, inside the image of ``size`` (height, width, ...).

    ``None`` where it would be as large as the image.
    """
    side = round(max(CONTEXT * max(box[2] - box[0], box[3] - box[1]), LEAST_VIEW))
    if side >= min(size[:2]):
        return None
    left = int(np.clip((box[0] + box[2] - side) / 2, 0, size[1] - side))
    top = int(np.clip((box[1] + box[3] - side) / 2, 0, size[0] - side))
    return left, top, left + side, top + side


def _figures(report: Mapping[str, Any]) -> str:
    """The selector's report: a table for each list of records, long ones folded, and one for all else."""
    plain, parts = [], []
    for key, value in report.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            heads = list(dict.fromkeys(head for item in value for head in item))
            rows = [[_cell(item.get(head)) for head in heads] for item in value]
            body = table([escape(head.replace('_', ' ')) for head in heads], rows)
            parts.append(details(f'{key}: {len(value)} rows', body) if key != 'classes' else body)
        else:
            plain.append([escape(str(key).replace('_', ' ')), _cell(value)])
    return ''.join(parts) + (table(('figure', 'value'), plain) if plain else '')


def _cell(value: Any) -> str:
    """A value as a table shows it; – for nothing."""
    if value is None or value == []:
        return '–'
    if isinstance(value, float):
        return f'{value:.4g}'
    return escape(', '.join(map(str, value)) if isinstance(value, list) else str(value))


def _number(cluster: int | None) -> int:
    """Clusters in order, objects without one last."""
    return 1 << 60 if cluster is None else cluster


def _hex(colour: Colour) -> str:
    """As CSS writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*colour)
