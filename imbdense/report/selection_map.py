"""A pool in two dimensions: where its objects lie, and which of them were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection import ObjectPool, StreamingPCA
from imbdense.report.svg import svg
from imbdense.utils.overlay import Colour

FITTED, DRAWN, BLOCK = 20_000, 2000, 2048
SIDE = 620


def pool_places(pool: ObjectPool, always: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(rows, (n, 2) places on the first two principal axes) of up to 2000 usable objects, evenly spread, and of
    ``always``.

    The axes are fitted to up to 20 000 objects, evenly spread. Empty where objects or numbers are too few.
    """
    rows = pool.usable_rows
    if len(rows) < 3 or pool.obj_feat.shape[1] < 2:
        return rows[:0], np.zeros((0, 2), np.float32)
    pca = StreamingPCA(pool.obj_feat.shape[1])
    fitted = _spread(rows, FITTED)
    for start in range(0, len(fitted), BLOCK):
        pca.add(pool.obj_feat[fitted[start : start + BLOCK]])
    mean, axes = pca.axes(2)
    shown = np.unique(np.concatenate([_spread(rows, DRAWN), np.intersect1d(rows, np.array(always, np.int64))]))
    parts = [np.asarray(pool.obj_feat[shown[start : start + BLOCK]], np.float32) for start in
             range(0, len(shown), BLOCK)]  # fmt: skip
    return shown, np.concatenate([(part - mean) @ axes for part in parts])


def selection_map(pool: ObjectPool, chosen: Sequence[int], colours: Sequence[Colour]) -> str:
    """SVG: a point per object in the colour of its class, chosen ones large with a ring; '' where there is nothing.

    Args:
        chosen: rows of the objects for which images were chosen. colours: of the classes.
    """
    rows, places = pool_places(pool, chosen)
    if not len(rows):
        return ''
    low, high = places.min(axis=0), places.max(axis=0)
    scaled = 12 + (SIDE - 24) * (places - low) / np.maximum(high - low, 1e-12)
    marked = np.isin(rows, np.array(chosen, np.int64))
    parts = []
    for place in np.argsort(marked, kind='stable').tolist():
        klass = int(pool.obj_class[rows[place]])
        fill = 'rgb({}, {}, {})'.format(*colours[klass]) if klass >= 0 else '#888888'
        name = escape(pool.classes[klass]) if klass >= 0 else 'unknown'
        x, y = scaled[place]
        look = 'r="6" stroke="currentColor" stroke-width="2"' if marked[place] else 'r="2.5" opacity="0.55"'
        title = f'<title>{name}: {escape(pool.image_ids[int(pool.obj_image[rows[place]])])}</title>'
        parts.append(f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" {look} fill="{fill}">{title}</circle>')
    return svg(SIDE, SIDE, parts, 'objects of the pool on the first two principal axes of their features')


def _spread(rows: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Up to ``limit`` rows, evenly spread."""
    return rows if len(rows) <= limit else rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
