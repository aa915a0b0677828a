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

SIDE = 300
PER_CLASS = 24
"""Pictures shown of a class; the page would grow beyond what a browser likes."""


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
            ('Images', 'The chosen images by class and cluster', _pictures(records, pool, place, colours, images)),
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
    records: Sequence[Mapping[str, Any]], pool: ObjectPool, place: Mapping[str, int], colours: Sequence[Colour],
    images: Path | None,
) -> str:  # fmt: skip
    """Pictures of each class in the order of its clusters, then of choice."""
    if images is None:
        return ''
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in records:
        groups.setdefault(entry['reason']['class'] or 'chosen as images', []).append(entry)
    order = [*pool.classes, 'chosen as images']
    parts = []
    for name in sorted(groups, key=order.index):
        entries = sorted(groups[name], key=lambda entry: (_number(entry['reason']['cluster']), entry['rank']))
        shots = ''.join(_shot(entry, pool, place, colours, images) for entry in entries[:PER_CLASS])
        more = f'<p class="note">{len(entries) - PER_CLASS} more</p>' if len(entries) > PER_CLASS else ''
        parts.append(f'<h3>{escape(name)}</h3><div class="shots">{shots}</div>{more}')
    return ''.join(parts)


def _shot(
    entry: Mapping[str, Any], pool: ObjectPool, place: Mapping[str, int], colours: Sequence[Colour], images: Path
) -> str:
    """One picture with the object it was chosen for."""
    reason, name = entry['reason'], entry['image_id']
    words = [f'rank {entry["rank"]}', reason['rule']]
    words += [] if reason['cluster'] is None else [f'cluster {reason["cluster"]}']
    caption = f'{escape(name)}<br>{escape(", ".join(word for word in words if word))}'
    try:
        picture = read_rgb(images / name)
    except OSError:
        return f'<figure><figcaption>{caption}<br>the picture cannot be read</figcaption></figure>'
    row = reason['object']
    if row is not None:
        klass = int(pool.obj_class[row])
        colour = colours[klass] if klass >= 0 else (255, 255, 255)
        width = max(2, max(picture.shape[:2]) // 200)
        picture = draw_boxes(picture, [pool.obj_box[row].tolist()], [colour], [''], width)
    return f'<figure><img src="{data_uri(fit(picture, SIDE))}" alt=""><figcaption>{caption}</figcaption></figure>'


def _figures(report: Mapping[str, Any]) -> str:
    """The selector's report, folded."""
    rows = [[escape(str(key)), escape(str(value))] for key, value in report.items()]
    return details('show', table(('figure', 'value'), rows)) if rows else ''


def _number(cluster: int | None) -> int:
    """Clusters in order, objects without one last."""
    return 1 << 60 if cluster is None else cluster


def _hex(colour: Colour) -> str:
    """As CSS writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*colour)
