"""The page of ``imbdense check pool``: is an unlabelled pool like the labelled images?"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.report.images import data_uri, fit, read_rgb
from imbdense.report.page import page, table
from imbdense.report.svg import column_chart, legend, shorten, svg

SIDES = ('labelled', 'pool')
STRANGEST = 12
WORDS = {
    'shift': 'The pool differs from the labelled images.',
    'no shift found': 'No difference between the pool and the labelled images was found.',
    'unclear': 'The distance is larger than chance gives, but the three measures do not agree on a shift.',
    'unknown': 'A measure could not be computed, so there is no verdict.',
}


def pool_page(record: dict[str, Any]) -> str:
    """The self-contained HTML of a record of ``imbdense check pool``."""
    subtitle = escape(
        f'{record["images"][0]} labelled images ({record["labelled_split"]}) and {record["images"][1]} of the pool, '
        f'seen by {Path(record["checkpoint"]).name}, layer {record["layer"]}'
    )
    return page(
        f'Unlabelled pool: {record["verdict"]}',
        subtitle,
        [
            ('Verdict', WORDS[record['verdict']], _verdict(record)),
            ('Domain', 'Can images of the two sides be told apart?', _domain(record)),
            ('Priors', 'Class shares', _priors(record)),
            ('Classes', 'Does a class look different?', _classes(record)),
            ('Gain', 'What would semi-supervised training gain?', _gain(record)),
            ('Strangest', 'Images of the pool least like the labelled ones', _strangest(record)),
            ('Skipped', 'Images that could not be read', _skipped(record)),
        ],
    )


def _verdict(record: dict[str, Any]) -> str:
    """The three measures."""
    features, mmd, domain = record['features'], record['mmd'], record['domain']
    rows = [
        ['Fréchet distance without bias (FD∞)', _error(features['fd_inf'], features['standard_error']),
         _text(features['p_value']), escape(features['reason'])],
        ['… above chance', _text(features['excess']), '', ''],
        ['… of the means / of the covariances',
         f'{_text(features["raw"]["mean_term"])} / {_text(features["raw"]["covariance_term"])}', '', 'bias included'],
        ['MMD², unbiased', _text(mmd['value'], 4), _text(mmd['p_value']), escape(mmd['reason'])],
        ['Domain classifier, AUROC', _text(domain['auroc']), '', escape(domain['reason'])],
    ]  # fmt: skip
    note = 'p: whole images exchanged between the sides. A shift is reported where p &lt; 0.05 and all three agree.'
    return (
        table(('measure', 'value', 'p', ''), rows) + f'<p class="note">{note}</p>'
        f'<p class="warn">{escape(record["advice"])}</p>'
    )


def _domain(record: dict[str, Any]) -> str:
    """Histogram of the out-of-fold scores."""
    domain = record['domain']
    if not domain['scores_a']:
        return ''
    edges = np.linspace(0, 1, 11)
    shares = [100 * np.histogram(domain[key], edges)[0] / len(domain[key]) for key in ('scores_a', 'scores_b')]
    groups = [
        (f'{low:.1f}–{low + 0.1:.1f}', [(float(share[i]), math.nan) for share in shares])
        for i, low in enumerate(edges[:-1])
    ]
    note = (
        'Percent of the images of each side by their mean probability of belonging to the pool, given by a classifier '
        'that has not seen them. Two equal sides lie on each other.'
    )
    return legend(SIDES) + column_chart(groups, SIDES, 'percent of images') + f'<p class="note">{note}</p>'


def _priors(record: dict[str, Any]) -> str:
    """Ratio plot with intervals, and the shares."""
    prior = record['prior']
    if prior is None:
        return ''
    names = _prior_names(record)
    rows = [
        [escape(name), _percent(prior['labelled'][k]), _percent(prior['em'][k]),
         _between(_percent(prior['low'][k]), _percent(prior['high'][k])), _percent(prior['bbse'][k]),
         _text(prior['ratio'][k], 2), prior['status'][k]]
        for k, name in enumerate(names)
    ]  # fmt: skip
    header = ('class', 'labelled %', 'pool %', '95 %', 'cross-check %', 'ratio', 'status')
    lead = (
        f'<p>Total variation {_text(prior["total_variation"])} '
        f'({_between(_text(prior["tv_low"]), _text(prior["tv_high"]))}), largest change of a class '
        f'{_text(prior["max_ratio"], 2)}×.</p>'
    )
    note = (
        'Estimated from the outputs of the model (expectation maximisation; cross-check: black-box shift estimation), '
        'on the assumption that a class looks the same on both sides. A class is not identifiable where the two differ '
        'by more than a factor of 2, or where its predictions could be those of other classes.'
    )
    return lead + _ratio_plot(names, prior) + table(header, rows) + f'<p class="note">{note}</p>'


def _ratio_plot(names: list[str], prior: dict[str, Any]) -> str:
    """Bar from 1 to the ratio pool / labelled of every class on a log axis, with the 95 % interval."""
    left, width, step, top, reach = 170, 520, 26, 8, 5
    bottom = top + step * len(names)

    def x(ratio: float) -> float:
        power = math.log2(min(max(ratio, 2.0**-reach), 2.0**reach))
        return left + width * (power + reach) / (2 * reach)

    parts = []
    for power in range(-reach, reach + 1):
        at = x(2.0**power)
        text = f'{2**power}×' if power >= 0 else f'1/{2**-power}'
        parts.append(
            f'<line class="{"err" if power == 0 else "g"}" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text class="a" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>'
        )
    for k, name in enumerate(names):
        y = top + step * (k + 0.5)
        parts.append(f'<text class="t" x="4" y="{y + 4}">{escape(shorten(name))}</text>')
        share, ratio = prior['labelled'][k], prior['ratio'][k]
        if ratio is None or not share:
            continue
        low, high = sorted((x(1.0), x(ratio)))
        sure = prior['status'][k] == 'ok'
        parts.append(
            f'<rect class="{"rarebar" if sure else "bar"}" x="{low:.1f}" y="{y - 7}" width="{max(high - low, 2):.1f}" '
            f'height="14" rx="2"><title>{escape(name)}: {ratio:.2f}× ({prior["status"][k]})</title></rect>'
        )
        if prior['low'][k] is not None:
            ends = (x(prior['low'][k] / share), x(prior['high'][k] / share))
            parts.append(f'<line class="err" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" y2="{y}"/>')
    return svg(left + width + 20, bottom + 26, parts, 'share in the pool over share in the labelled images, per class')


def _classes(record: dict[str, Any]) -> str:
    """Distance of each class."""
    rows = []
    for name, found in zip(record['classes'], record['by_class']):
        shift = found['shift']
        value = _error(shift['fd_inf'], shift['standard_error'], 2)
        known = found['status'] == 'ok'
        rows.append([
            escape(name), value if known else 'insufficient', _text(shift['p_value']) if known else '',
            str(found['labelled']), str(found['unlabelled']),
        ])  # fmt: skip
    if not rows:
        return ''
    note = (
        'Of the places that the model takes for the class with a probability of at least 0.8, on both sides. What it '
        'does not recognise is missing here.'
    )
    return table(('class', 'FD∞', 'p', 'labelled vectors', 'pool vectors'), rows) + f'<p class="note">{note}</p>'


def _gain(record: dict[str, Any]) -> str:
    """The forecast, with what it is worth."""
    found = record['forecast']
    if found is None:
        return ''
    if found['reason']:
        return f'<p>No forecast: {escape(found["reason"])}.</p>'
    rows = [
        [escape(name), _text(found['baseline'][k], 1), _signed(found['gain'][k]),
         _between(_signed(found['low'][k]), _signed(found['high'][k])),
         _error(found['probe_gain'][k], found['probe_error'][k], 1, sign=True)]
        for k, name in enumerate(record['classes'])
    ]  # fmt: skip
    worth = (
        f'On planted shifts that it had not seen, the prediction explains {_text(found["r_squared"], 2)} of the '
        f'variance (R²; near 0 = no more than the mean), and its 90 % interval held {_text(found["coverage"], 2)} of '
        'them.'
    )
    header = ('class', 'F1 now', 'predicted gain', '90 % interval', 'linear probe with this pool')
    return table(header, rows) + f'<p>{escape(worth)}</p><p class="warn">{escape(found["note"])}</p>'


def _strangest(record: dict[str, Any]) -> str:
    """Pictures with the highest domain score."""
    scores = record['domain']['scores_b']
    shots = []
    for place in sorted(range(len(scores)), key=lambda i: -scores[i])[:STRANGEST]:
        file = Path(record['unlabelled_files'][place])
        try:
            picture = data_uri(fit(read_rgb(file), 320))
        except OSError:
            continue
        shots.append(
            f'<figure><img src="{picture}" alt="{escape(file.name)}"><figcaption>{escape(file.name)}: '
            f'{scores[place]:.2f}</figcaption>'
            '</figure>'
        )
    note = '<p class="note">Behind the name: the mean probability of belonging to the pool, as above.</p>'
    return f'<div class="shots">{"".join(shots)}</div>{note}' if shots else ''


def _skipped(record: dict[str, Any]) -> str:
    """Their messages."""
    lines = ''.join(f'<li>{escape(message)}</li>' for message in record['skipped'])
    return f'<ul>{lines}</ul>' if lines else ''


def _prior_names(record: dict[str, Any]) -> list[str]:
    """The classes; of a detector also its boxes on nothing."""
    names = list(record['classes'])
    return names if len(record['prior']['labelled']) == len(names) else [*names, 'box on nothing']


def _text(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Rounded, without the sign of a zero; – for unknown."""
    if value is None:
        return '–'
    rounded = round(value, digits) + 0.0
    return f'{rounded:+.{digits}f}' if sign and rounded else f'{rounded:.{digits}f}'


def _signed(value: float | None) -> str:
    """With sign, – for unknown."""
    return _text(value, 1, sign=True)


def _error(value: float | None, half: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """'1.2 ± 0.1'; the value alone without an error."""
    text = _text(value, digits, sign=sign)
    return text if value is None or half is None else f'{text} ± {_text(half, digits)}'


def _between(low: str, high: str) -> str:
    """'low to high', – once for an interval that is not known."""
    return low if low == high == '–' else f'{low} to {high}'


def _percent(value: float | None) -> str:
    """A share in percent."""
    return '–' if value is None else f'{100 * value:.3g}'
