"""Pictures of class counts, as PNG bytes (matplotlib without a display)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from imbdense.core.stats import ClassCounts
from imbdense.data.scan.shift import LabelShift

COLOURS = ('#1c7ed6', '#e8590c', '#2f9e44', '#ae3ec9')
MAX_NAMED = 60
"""With more classes the axis shows no names."""


def shares_plot(splits: Mapping[str, ClassCounts], unit: str) -> bytes:
    """Share of each class in percent, logarithmic, most frequent first; one bar per split."""
    first = next(iter(splits.values()))
    order = np.argsort(-first.of(unit), kind='stable')
    figure, axes = _canvas(max(6.0, 0.32 * len(order) + 2), 3.6)
    width = 0.8 / len(splits)
    lowest = 100.0
    for number, (name, counts) in enumerate(splits.items()):
        values = counts.of(unit)[order]
        percent = 100 * values / max(values.sum(), 1)
        shown = np.where(values > 0, percent, np.nan)
        lowest = min(lowest, float(percent[values > 0].min(initial=100.0)))
        axes.bar(
            np.arange(len(order)) + (number - (len(splits) - 1) / 2) * width,
            shown,
            width,
            label=name,
            color=COLOURS[number % len(COLOURS)],
        )
    axes.set_yscale('log')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
    axes.yaxis.set_minor_formatter(lambda value, _: '')
    axes.set_ylim(10 ** np.floor(np.log10(np.clip(lowest, 1e-9, 99.0))), 100)
    axes.set_ylabel(f'{first.word(unit)} in %')
    _name_classes(axes, [first.classes[index] for index in order])
    if len(splits) > 1:
        axes.legend(frameon=False)
    return _png(figure)


def cooccurrence_plot(counts: ClassCounts) -> bytes:
    """How often the column class is in an image that holds the row class, in percent."""
    if counts.cooccurrence is None:
        raise ValueError('these class counts hold no co-occurrence.')
    table = counts.cooccurrence.astype(float)
    given = np.divide(
        table, np.diag(table)[:, None], out=np.full_like(table, np.nan), where=np.diag(table)[:, None] > 0
    )
    side = min(max(4.0, 0.34 * len(counts.classes) + 2), 14.0)
    figure, axes = _canvas(side, side * 0.9)
    axes.imshow(100 * given, vmin=0, vmax=100, cmap='Blues')
    if len(counts.classes) <= 14:
        for (row, column), value in np.ndenumerate(given):
            if np.isfinite(value):
                axes.text(
                    column,
                    row,
                    f'{100 * value:.0f}',
                    ha='center',
                    va='center',
                    fontsize=8,
                    color='white' if value > 0.6 else 'black',
                )
    _name_classes(axes, list(counts.classes))
    if len(counts.classes) <= MAX_NAMED:
        axes.set_yticks(range(len(counts.classes)), counts.classes, fontsize=8)
    axes.set_ylabel('image holds')
    axes.set_xlabel('... also holds, in %')
    return _png(figure)


def sizes_plot(counts: ClassCounts, limit: int = 12) -> bytes:
    """Histogram of object (region) areas per class, in powers of two; the rarest ``limit`` classes that occur."""
    if counts.object_sizes is None:
        raise ValueError('these class counts hold no object sizes.')
    sizes = counts.object_sizes
    present = np.flatnonzero(sizes.sum(1))
    chosen = present[np.argsort(sizes[present].sum(1), kind='stable')][:limit]
    figure, axes = _canvas(7.0, 0.42 * max(len(chosen), 1) + 1.4)
    shown = sizes[chosen] / np.maximum(sizes[chosen].sum(1, keepdims=True), 1)
    axes.imshow(100 * shown, aspect='auto', cmap='Oranges', vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(sizes[chosen]):
        if value:
            axes.text(column, row, str(int(value)), ha='center', va='center', fontsize=6)
    axes.set_yticks(range(len(chosen)), [counts.classes[index] for index in chosen], fontsize=8)
    step = max(1, sizes.shape[1] // 10)
    bins = range(0, sizes.shape[1], step)
    axes.set_xticks(bins, [_power(number) for number in bins], fontsize=8)
    axes.set_xlabel('area in pixels (from)')
    return _png(figure)


def shift_plot(shift: LabelShift, names: tuple[str, str]) -> bytes:
    """Share in the second split against the first; on the line there is no shift."""
    figure, axes = _canvas(4.6, 4.4)
    floor = max(100 * shift.shares[shift.shares > 0].min() / 2, 1e-6)
    percent = np.maximum(100 * shift.shares, floor)
    axes.plot([floor, 100], [floor, 100], color='#9aa8b8', linewidth=1)
    axes.scatter(percent[0], percent[1], color=COLOURS[0], zorder=2)
    for name, x, y in zip(shift.classes, *percent):
        axes.annotate(name, (x, y), xytext=(4, 3), textcoords='offset points', fontsize=8)
    axes.set(
        xscale='log', yscale='log', xlabel=f'{shift.unit} in {names[0]}, %', ylabel=f'{shift.unit} in {names[1]}, %'
    )
    return _png(figure)


def _power(exponent: int) -> str:
    """2**exponent, short."""
    for least, unit in ((30, 'G'), (20, 'M'), (10, 'k')):
        if exponent >= least:
            return f'{2 ** (exponent - least)}{unit}'
    return str(2**exponent)


def _canvas(width: float, height: float) -> Any:
    """A figure without pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(min(width, 24), min(height, 24)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[['top', 'right']].set_visible(False)
    return figure, axes


def _name_classes(axes: Any, classes: list[str]) -> None:
    """Class names below, upright when many."""
    if len(classes) <= MAX_NAMED:
        axes.set_xticks(
            range(len(classes)),
            classes,
            rotation=0 if len(classes) <= 6 else 60,
            ha='center' if len(classes) <= 6 else 'right',
            fontsize=8,
        )
    else:
        axes.set_xlabel(f'{len(classes)} classes, most frequent first')


def _png(figure: Any) -> bytes:
    """The figure as PNG; no date inside, so equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110, metadata={'Software': None})
    return buffer.getvalue()
