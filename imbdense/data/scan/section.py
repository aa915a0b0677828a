"""Class counts as JSON and as a section of an HTML page."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from imbdense.core.stats import WEIGHT_SCHEMES, ClassCounts, class_weights, imbalance_indices
from imbdense.data.scan.plots import cooccurrence_plot, shares_plot, shift_plot, sizes_plot
from imbdense.data.scan.shift import LabelShift, label_shift

UNITS = ('pixels', 'regions', 'instances', 'images')


def main_unit(counts: ClassCounts) -> str:
    """Pixels for masks, instances for boxes."""
    return 'pixels' if counts.pixels is not None else 'instances'


def suggested_weights(counts: ClassCounts) -> dict[str, list[float]]:
    """Loss weights in every convention that the counts allow (``class_weights``), in the main unit."""
    found = {}
    for scheme in WEIGHT_SCHEMES:
        if scheme != 'median' or counts.image_pixels is not None:
            weights = class_weights(counts.of(main_unit(counts)), scheme, image_pixels=counts.image_pixels)
            found[scheme] = [float(value) for value in weights]
    return found


def shifts(splits: Mapping[str, ClassCounts]) -> dict[str, LabelShift]:
    """The first split against each other one that has the same classes and any sample."""
    names = list(splits)
    first = splits[names[0]]
    unit = main_unit(first)
    return {
        f'{names[0]} -> {name}': label_shift(first, splits[name], unit)
        for name in names[1:]
        if splits[name].classes == first.classes and splits[name].of(unit).sum() > 0 and first.of(unit).sum() > 0
    }


def stats_record(splits: Mapping[str, ClassCounts]) -> dict[str, Any]:
    """Everything as plain data: counts, indices per unit, weights, label shift. NaN and inf become None."""
    record: dict[str, Any] = {'splits': {}, 'label_shift': {}}
    for name, counts in splits.items():
        units = [unit for unit in UNITS if unit in counts.units and counts.of(unit).sum() > 0]
        record['splits'][name] = {
            'counts': counts.to_dict(),
            'indices': {unit: imbalance_indices(counts.of(unit)) for unit in units},
            'suggested_weights': suggested_weights(counts) if main_unit(counts) in units else {},
        }
    for name, shift in shifts(splits).items():
        record['label_shift'][name] = {
            'unit': shift.unit,
            'total_variation': shift.total_variation,
            'jensen_shannon_bits': shift.jensen_shannon,
            'ratio': {key: _number(value) for key, value in zip(shift.classes, shift.ratio)},
            'warnings': shift.warnings(),
        }
    return record


def stats_plots(splits: Mapping[str, ClassCounts]) -> dict[str, bytes]:
    """File name -> PNG."""
    first = next(iter(splits.values()))
    same = {name: counts for name, counts in splits.items() if counts.classes == first.classes}
    plots = {'class_shares.png': shares_plot(same, main_unit(first))}
    for name, counts in splits.items():
        label = name.replace('/', '_')
        if counts.cooccurrence is not None and counts.num_classes > 1:
            plots[f'cooccurrence_{label}.png'] = cooccurrence_plot(counts)
        if counts.object_sizes is not None and counts.object_sizes.sum():
            plots[f'object_sizes_{label}.png'] = sizes_plot(counts)
    for name, shift in shifts(splits).items():
        one, two = name.split(' -> ')
        plots[f'label_shift_{one}_{two}.png'.replace('/', '_')] = shift_plot(shift, (one, two))
    return plots


def stats_section(splits: Mapping[str, ClassCounts]) -> str:
    """An HTML fragment: per split a table and the indices, then the plots (embedded) and the label shift.

    Args:
        splits: name -> counts, the training split first.
    """
    parts = [_table(name, counts) for name, counts in splits.items()]
    for name, shift in shifts(splits).items():
        notes = ''.join(f'<li>{escape(text)}</li>' for text in shift.warnings()) or '<li>no class differs much</li>'
        parts.append(
            f'<h3>Label shift {escape(name)}</h3><p>Total variation {shift.total_variation:.3f}, Jensen-Shannon '
            f'{shift.jensen_shannon:.3f} bit.</p><ul>{notes}</ul>'
        )
    for file, data in stats_plots(splits).items():
        title = file.removesuffix('.png').replace('_', ' ')
        picture = base64.b64encode(data).decode()
        parts.append(
            f'<figure><img alt="{escape(title)}" style="max-width:100%" src="data:image/png;base64,{picture}">'
            f'<figcaption>{escape(title)}</figcaption></figure>'
        )
    return ''.join(parts)


def _table(name: str, counts: ClassCounts) -> str:
    """Counts of one split, most frequent first."""
    units = [unit for unit in UNITS if unit in counts.units]
    values = counts.of(main_unit(counts))
    share = 100 * values / max(int(values.sum()), 1)
    head = ''.join(f'<th>{unit}</th>' for unit in ('class', 'share', *map(counts.word, units)))
    rows = ''
    for index in np.argsort(-values, kind='stable').tolist():
        cells = ''.join(f'<td>{int(counts.of(unit)[index]):,}</td>' for unit in units)
        rows += f'<tr><td>{escape(counts.classes[index])}</td><td>{share[index]:.3g} %</td>{cells}</tr>'
    line = ''
    if values.sum():
        line = '; '.join(f'{key.replace("_", " ")} {value:.4g}' for key, value in imbalance_indices(values).items())
    table = f'<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    size = f'{counts.num_images:,} {counts.word("images")}'
    return f'<h3>{escape(name)}: {size}</h3><p>{line}</p><div class="scroll">{table}</div>'


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if math.isfinite(value) else None
