"""One self-contained page about a point cloud: an interactive view, pictures, points per class."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.report.images import Picture, data_uri
from imbdense.report.page import page, swatch, table
from imbdense.report.point_layers import PointLayer
from imbdense.report.point_script import CSS, SCRIPT


def point_page(
    title: str,
    note: str,
    xyz: NDArray[np.float64],
    layers: Sequence[PointLayer],
    pictures: Mapping[str, Picture],
    rows: Sequence[Sequence[str]] = (),
) -> str:
    """The HTML of a cloud.

    Args:
        note: where the points are from and how many of them are shown. xyz: (N, 3) of the points in the interactive
            view. layers: their colours. pictures: caption -> picture. rows: class, points, share, ... of the whole
            cloud; the first row is the head.
    """
    figures = ''.join(
        f'<figure><img src="{data_uri(picture)}" alt="{escape(name)}"><figcaption>{escape(name)}</figcaption></figure>'
        for name, picture in pictures.items()
    )
    viewer = (
        f'<style>{CSS}</style><figure class="cloud"><div class="bar"></div><canvas></canvas>'
        f'<p class="legend"></p><p class="note">Drag to turn, shift-drag to move, wheel to zoom, double click to '
        f'begin anew. {escape(note)}</p><script type="application/json">{json.dumps(_record(xyz, layers))}</script>'
        f'</figure><script>{SCRIPT}</script>'
    )
    sections = [('View', 'The cloud', viewer), ('Pictures', 'Pictures', f'<div class="shots">{figures}</div>')]
    if rows:
        sections.append(('Classes', 'Points per class', table(rows[0], rows[1:])))
    return page(title, escape(note), sections)


def class_rows(
    classes: Sequence[str], palette: Sequence[Any], labels: NDArray[np.int64], predicted: NDArray[np.int64] | None
) -> list[list[str]]:
    """Head and one row per class, the rarest first: points, share, and with a prediction recall, precision and IoU."""
    counted = labels >= 0
    truth = np.bincount(labels[counted], minlength=len(classes))
    total = max(int(truth.sum()), 1)
    head = ['class', 'points', 'share, %']
    columns = []
    if predicted is not None:
        valid = counted & (predicted >= 0)
        hits = np.bincount(labels[valid & (labels == predicted)], minlength=len(classes))
        said = np.bincount(predicted[valid], minlength=len(classes))
        head += ['recall, %', 'precision, %', 'IoU, %']
        columns = [(hits, truth), (hits, said), (hits, truth + said - hits)]
    rows = [head]
    for index in np.argsort(truth, kind='stable').tolist():
        colour = '#' + ''.join(f'{int(channel):02x}' for channel in palette[index])
        cells = [f'{swatch(colour)}{escape(classes[index])}', f'{truth[index]:,}', f'{100 * truth[index] / total:.3g}']
        rows.append(cells + [f'{100 * top[index] / low[index]:.1f}' if low[index] else '–' for top, low in columns])
    return rows


def _record(xyz: NDArray[np.float64], layers: Sequence[PointLayer]) -> dict[str, Any]:
    """What the script reads; see :mod:`imbdense.report.point_script`."""
    size = np.ptp(xyz, axis=0) if len(xyz) else np.ones(3)
    unit = max(float(size.max()), 1e-9) / 65535
    steps = np.round((xyz - xyz.min(axis=0)) / unit).astype('<u2') if len(xyz) else np.zeros((0, 3), '<u2')
    return {
        'count': len(xyz), 'size': size.tolist(), 'xyz': _base64(steps),
        'layers': [
            {'name': layer.name, 'rgb': _base64(layer.rgb), 'legend': [
                [text, '#' + ''.join(f'{channel:02x}' for channel in colour)] for text, colour in layer.legend]}
            for layer in layers],
    }  # fmt: skip


def _base64(values: NDArray[Any]) -> str:
    """The bytes of an array as text."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode('ascii')
