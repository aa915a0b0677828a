"""Small charts as inline SVG: they follow the theme of the page through CSS classes and stay sharp in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Value = tuple[float, float]
"""(mean, half width of its interval); NaN where there is none."""


@dataclass(frozen=True)
class Row:
    """One class in a chart: its name, colour, and one value per series."""

    label: str
    colour: str
    values: Sequence[Value]
    rare: bool = False


def shorten(text: str, limit: int = 22) -> str:
    """Cut long names with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + '…'


def legend(series: Sequence[str]) -> str:
    """Colour key of the series."""
    items = ''.join(f'<span><i class="dot s{i % 8}"></i>{escape(name)}</span>' for i, name in enumerate(series))
    return f'<p class="legend">{items}</p>'


def dot_plot(rows: Sequence[Row], series: Sequence[str], label: str) -> str:
    """One row per class, one dot per experiment on a 0–100 axis, whiskers = 95 % interval. NaN values are not drawn."""
    left, width, step, top = 170, 560, 26, 8
    bottom = top + step * len(rows)

    def x(value: float) -> float:
        return left + width * min(max(value, 0.0), 100.0) / 100

    parts = [_x_axis(left, width, top, bottom)]
    for place, row in enumerate(rows):
        y = top + step * (place + 0.5)
        parts.append(_row_label(row, left, y))
        known = [value for value, _ in row.values if not math.isnan(value)]
        if len(known) > 1:
            parts.append(f'<line class="span" x1="{x(min(known)):.1f}" x2="{x(max(known)):.1f}" y1="{y}" y2="{y}"/>')
        for index, (value, half) in enumerate(row.values):
            if math.isnan(value):
                continue
            offset = y + (index - (len(row.values) - 1) / 2) * 3.2
            if not math.isnan(half):
                parts.append(
                    f'<line class="whisker k{index % 8}" x1="{x(value - half):.1f}" x2="{x(value + half):.1f}" '
                    f'y1="{offset:.1f}" y2="{offset:.1f}"/>'
                )
            parts.append(
                f'<circle class="f{index % 8}" cx="{x(value):.1f}" cy="{offset:.1f}" r="5">'
                f'<title>{escape(row.label)} · {escape(series[index])}: {number(value, half)}</title></circle>'
            )
    return svg(left + width + 20, bottom + 34, parts, f'{label} per class')


def column_chart(groups: Sequence[tuple[str, Sequence[Value]]], series: Sequence[str], label: str) -> str:
    """Grouped columns on a 0–100 axis with interval whiskers and the value on top."""
    bar = 30 if len(series) < 4 else 20
    left, top, height = 40, 18, 190
    slot = bar * len(series) + 34
    base = top + height
    parts = [_y_axis(left, left + slot * len(groups), top, height)]
    for place, (name, values) in enumerate(groups):
        start = left + 17 + slot * place
        parts.append(
            f'<text class="t" x="{start + bar * len(series) / 2:.1f}" y="{base + 18}" text-anchor="middle">'
            f'{escape(shorten(name, 16))}</text>'
        )
        for index, (value, half) in enumerate(values):
            if math.isnan(value):
                continue
            size = height * min(max(value, 0.0), 100.0) / 100
            x = start + bar * index
            parts.append(
                f'<rect class="f{index % 8}" x="{x + 1}" y="{base - size:.1f}" width="{bar - 2}" '
                f'height="{max(size, 1):.1f}" rx="2"><title>{escape(series[index])} · {escape(name)}: '
                f'{number(value, half)}</title></rect>'
            )
            reach = 0.0
            if not math.isnan(half):
                reach = height * half / 100
                low, high = min(base - size + reach, base), max(base - size - reach, top)
                middle = x + bar / 2
                parts.append(f'<line class="err" x1="{middle}" x2="{middle}" y1="{low:.1f}" y2="{high:.1f}"/>')
            parts.append(
                f'<text class="v" x="{x + bar / 2}" y="{max(base - size - reach - 4, 11):.1f}" '
                f'text-anchor="middle">{value:.0f}</text>'
            )
    return svg(left + slot * len(groups) + 10, base + 28, parts, f'{label} per group')


def log_bars(rows: Sequence[tuple[str, str, float, str, bool]], label: str) -> str:
    """Horizontal bars on a log10 axis: (name, colour, count, text at the end, rare). Zero counts have no bar."""
    left, width, step, top = 170, 430, 24, 6
    positive = [count for _, _, count, _, _ in rows if count > 0]
    low = math.floor(math.log10(min(positive))) if positive else 0
    high = max(math.ceil(math.log10(max(positive))), low + 1) if positive else 1
    low = low - 1 if low > 0 and positive and min(positive) == 10.0**low else low
    bottom = top + step * len(rows)
    parts = []
    for exponent in range(low, high + 1):
        x = left + width * (exponent - low) / (high - low)
        parts.append(
            f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text class="a" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_power(exponent)}</text>'
        )
    for place, (name, colour, count, text, rare) in enumerate(rows):
        y = top + step * (place + 0.5)
        parts.append(_row_label(Row(name, colour, (), rare), left, y))
        size = width * (math.log10(count) - low) / (high - low) if count > 0 else 0
        if count > 0:
            parts.append(
                f'<rect class="{"rarebar" if rare else "bar"}" x="{left}" y="{y - 7}" width="{max(size, 2):.1f}" '
                f'height="14" rx="2"/>'
            )
        parts.append(f'<text class="a" x="{left + size + 6:.1f}" y="{y + 4}">{escape(text)}</text>')
    return svg(left + width + 130, bottom + 26, parts, label)


def line_panel(
    title: str,
    lines: Sequence[Sequence[tuple[float, float]]],
    series: Sequence[str],
    *,
    rare: bool = False,
    high: float | None = 100.0,
) -> str:
    """One small multiple: a line of (step, value) points per series. ``high`` None scales the axis to the data."""
    points = [point for line in lines for point in line]
    if not points:
        return ''
    left, top, width, height = 38, 26, 196, 96
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    y_low, y_high = 0.0, high
    if y_high is None:
        y_low, y_high = min(p[1] for p in points), max(p[1] for p in points)
        y_high = y_high if y_high > y_low else y_low + 1

    def at(point: tuple[float, float]) -> str:
        x = left + width * ((point[0] - x_low) / (x_high - x_low) if x_high > x_low else 0.5)
        y = top + height * (1 - (min(max(point[1], y_low), y_high) - y_low) / (y_high - y_low))
        return f'{x:.1f},{y:.1f}'

    ticks = [(y_low, top + height), ((y_low + y_high) / 2, top + height / 2), (y_high, top)]
    parts = [f'<text class="{"tr" if rare else "t"}" x="{left}" y="14">{escape(shorten(title, 30))}</text>']
    parts += [
        f'<line class="g" x1="{left}" x2="{left + width}" y1="{y}" y2="{y}"/><text class="a" x="{left - 6}" '
        f'y="{y + 4}" text-anchor="end">{_tick(value)}</text>'
        for value, y in ticks
    ]
    for index, line in enumerate(lines):
        marks = [at(point) for point in line]
        if len(marks) > 1:
            parts.append(
                f'<polyline class="k{index % 8} line" points="{" ".join(marks)}"><title>'
                f'{escape(series[index])}</title></polyline>'
            )
        parts += [
            f'<circle class="f{index % 8}" cx="{mark.split(",")[0]}" cy="{mark.split(",")[1]}" r="2.2"/>'
            for mark in (marks if len(marks) <= 20 else marks[-1:])
        ]
    parts.append(
        f'<text class="a" x="{left}" y="{top + height + 15}">{_tick(x_low)}</text><text class="a" '
        f'x="{left + width}" y="{top + height + 15}" text-anchor="end">{_tick(x_high)} iterations</text>'
    )
    return svg(left + width + 8, top + height + 20, parts, title, css='panel')


def unit_panel(
    title: str,
    lines: Sequence[Sequence[tuple[float, float]]],
    series: Sequence[str],
    x_label: str,
    y_label: str,
    *,
    diagonal: bool = False,
) -> str:
    """A square panel over [0, 1] x [0, 1] with one line per series; '' when no series has a point."""
    if not any(lines):
        return ''
    left, top, size = 34, 26, 190
    parts = [
        f'<text class="t" x="{left}" y="14">{escape(shorten(title, 30))}</text>'
        f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>'
    ]
    if diagonal:
        parts.append(f'<line class="g" x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}"/>')
    for index, line in enumerate(lines):
        marks = [f'{left + size * x:.1f},{top + size * (1 - y):.1f}' for x, y in line]
        parts.append(f'<polyline class="k{index % 8} line" points="{" ".join(marks)}"/>')
        if len(marks) <= 20:
            parts += [
                f'<circle class="f{index % 8}" cx="{mark.split(",")[0]}" cy="{mark.split(",")[1]}" r="3">'
                f'<title>{escape(series[index])}: {x:.3f}, {y:.3f}</title></circle>'
                for mark, (x, y) in zip(marks, line)
            ]
    parts.append(
        f'<text class="a" x="{left}" y="{top + size + 16}">0</text>'
        f'<text class="a" x="{left + size / 2}" y="{top + size + 16}" text-anchor="middle">{x_label}</text>'
        f'<text class="a" x="{left + size}" y="{top + size + 16}" text-anchor="end">1</text>'
        f'<text class="a" x="{left - 6}" y="{top + 8}" text-anchor="end">1</text>'
        f'<text class="a" x="{left - 6}" y="{top + size}" text-anchor="end">0</text>'
        f'<text class="a" x="14" y="{top + size / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {top + size / 2})">{y_label}</text>'
    )
    return svg(left + size + 14, top + size + 24, parts, title, css='panel')


def number(value: float, half: float = math.nan, *, sign: bool = False) -> str:
    """'12.3 ± 0.4', '+1.2', or '–' for NaN."""
    if math.isnan(value):
        return '–'
    text = f'{value:+.1f}' if sign else f'{value:.1f}'
    return text if math.isnan(half) else f'{text} ± {half:.1f}'


def svg(width: float, height: float, parts: Sequence[str], label: str, css: str = 'chart') -> str:
    """Wrap parts into one accessible SVG element that shrinks with the page."""
    return (
        f'<svg class="{css}" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _row_label(row: Row, left: float, y: float) -> str:
    """Colour swatch and class name at the left of a row."""
    return (
        f'<rect class="swatch" x="4" y="{y - 6}" width="12" height="12" rx="2" fill="{escape(row.colour)}"/>'
        f'<text class="{"tr" if row.rare else "t"}" x="22" y="{y + 4}">{escape(shorten(row.label))}'
        f'<title>{escape(row.label)}</title></text>'
    )


def _x_axis(left: float, width: float, top: float, bottom: float) -> str:
    """Grid and numbers 0…100 below a plot."""
    return ''.join(
        f'<line class="g" x1="{left + width * v / 100}" x2="{left + width * v / 100}" y1="{top}" y2="{bottom}"/>'
        f'<text class="a" x="{left + width * v / 100}" y="{bottom + 18}" text-anchor="middle">{v}</text>'
        for v in range(0, 101, 20)
    )


def _y_axis(left: float, right: float, top: float, height: float) -> str:
    """Grid and numbers 0…100 beside a plot."""
    rows = [(v, top + height * (1 - v / 100)) for v in range(0, 101, 25)]
    return ''.join(
        f'<line class="g" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        f'<text class="a" x="{left - 6}" y="{y + 4}" text-anchor="end">{v}</text>'
        for v, y in rows
    )


def _power(exponent: int) -> str:
    """10^k in reader's words."""
    names = {0: '1', 1: '10', 2: '100', 3: '1k', 4: '10k', 5: '100k', 6: '1M', 7: '10M', 8: '100M', 9: '1G', 10: '10G'}
    return names.get(exponent, f'1e{exponent}')


def _tick(value: float) -> str:
    """A short axis number."""
    return f'{value:.3g}' if abs(value) < 10000 else f'{value / 1000:.0f}k'
