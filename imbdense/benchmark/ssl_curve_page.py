"""The tables of `imbdense benchmark ssl-curve`: gain per label volume, per class and of the calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import mean_interval, method_values, paired_gain

BASE, SEMI = 'baseline', 'semi'
ERRORS = ('ECE', 'cwECE')
"""Calibration errors: less is better."""


def curve_page(runs: Sequence[Run], classes: Sequence[str], config: str) -> str:
    """Markdown: what it says in words, then the tables; label volumes without a finished pair of runs are named."""
    volumes = volumes_of(runs)
    lines = [
        f'# Label volumes of {config}', '',
        'Gain = semi-supervised run minus its supervised baseline (`model.unsup_weight = 0`), seed by seed; mean ±',
        '95 % Student-t interval over the seeds. "Not significant": the interval holds 0. Calibration errors (ECE,',
        'mean of the classes\' cwECE): less is better, so a change above 0 is *worse*.', '',
    ]  # fmt: skip
    lines += [f'* {sentence}' for sentence in findings(runs)]
    lines += ['', '## Mean and calibration', '',
              '| labels | images | seeds | mIoU baseline | mIoU semi | gain | | ECE baseline | ECE semi | change '
              '| | cwECE change | |', '|' + ' --- |' * 13]
    for suite in volumes:
        mine = of_suite(runs, suite)
        seeds = len(method_values(mine, SEMI, 'mIoU'))
        cells = [suite.name, str(images_of(suite)), str(seeds), *both(mine, 'mIoU')]
        for key in ('mIoU', 'ECE', 'cwECE'):
            gain = paired_gain(mine, SEMI, BASE, key)
            cells += both(mine, key) if key == 'ECE' else []
            cells += [interval_text(gain, sign=True), verdict(gain, error=key in ERRORS)]
        lines.append('| ' + ' | '.join(cells) + ' |')
    for title, prefix in (('Gain in IoU per class', 'IoU'), ('Change of cwECE per class', 'cwECE')):
        header = '| labels | ' + ' | '.join(classes) + ' |'
        lines += ['', f'## {title}', '', header, '|' + ' --- |' * (len(classes) + 1)]
        for suite in volumes:
            gains = [paired_gain(of_suite(runs, suite), SEMI, BASE, f'{prefix}/{name}') for name in classes]
            cells = [marked(gain, error=prefix == 'cwECE') for gain in gains]
            lines.append(f'| {suite.name} | ' + ' | '.join(cells) + ' |')
    lines += ['', '`*` the interval does not hold 0; `↓` worse than the baseline.']
    return '\n'.join(lines) + '\n'


def findings(runs: Sequence[Run]) -> list[str]:
    """One sentence per label volume about the mean, and one about the calibration of all."""
    sentences = []
    worse: dict[str, list[str]] = {'yes': [], 'no': []}
    for suite in volumes_of(runs):
        mine = of_suite(runs, suite)
        gain = paired_gain(mine, SEMI, BASE, 'mIoU')
        word = {
            'gain': 'Unlabelled images pay', 'loss': '**Unlabelled images hurt**',
            'not significant': '**No significant gain**', 'one seed': 'One seed alone, so nothing can be said',
            'no pair': 'No pair of finished runs',
        }[verdict(gain)]  # fmt: skip
        sentences.append(f'{suite.name} of the labels ({images_of(suite)} images): {word}: {_gain_text(gain)}.')
        change = paired_gain(mine, SEMI, BASE, 'ECE')[0]
        if math.isfinite(change):
            worse['yes' if change > 0 else 'no'].append(suite.name)
    if worse['yes'] or worse['no']:
        sentences.append(
            f'Calibration (ECE) became worse at {", ".join(worse["yes"]) or "no volume"} and better at '
            f'{", ".join(worse["no"]) or "no volume"}.'
        )
    return sentences


def verdict(gain: tuple[float, float], *, error: bool = False) -> str:
    """'gain', 'loss' or 'not significant' by the 95 % interval; 'one seed', 'no pair' without one."""
    mean, half = gain
    if math.isnan(mean):
        return 'no pair'
    if math.isnan(half):
        return 'one seed'
    if abs(mean) <= half:
        return 'not significant'
    return 'gain' if (mean > 0) != error else 'loss'


def volumes_of(runs: Sequence[Run]) -> list[Suite]:
    """One suite per label volume, ascending (they differ by seed in the images alone)."""
    found = {run.suite.name: run.suite for run in runs}
    return sorted(found.values(), key=images_of)


def images_of(suite: Suite) -> int:
    """Labelled images of a volume."""
    return next(len(value) for path, value in suite.lines.items() if path.endswith('.indices'))


def of_suite(runs: Sequence[Run], suite: Suite) -> list[Run]:
    """The runs of a volume, all seeds."""
    return [run for run in runs if run.suite.name == suite.name]


def both(runs: Sequence[Run], key: str) -> list[str]:
    """Mean ± interval of baseline and semi-supervised run."""
    return [interval_text(mean_interval(list(method_values(runs, name, key).values()))) for name in (BASE, SEMI)]


def marked(gain: tuple[float, float], *, error: bool) -> str:
    """A gain with its marks."""
    word = verdict(gain, error=error)
    worse = math.isfinite(gain[0]) and (gain[0] > 0) == error and gain[0] != 0
    return interval_text(gain, sign=True) + ('*' if word in ('gain', 'loss') else '') + (' ↓' if worse else '')


def interval_text(interval: tuple[float, float], *, sign: bool = False) -> str:
    """'0.123 ± 0.004', the mean alone for one seed, – for none."""
    mean, half = interval
    if math.isnan(mean):
        return '–'
    text = f'{mean:+.3f}' if sign else f'{mean:.3f}'
    return text if math.isnan(half) else f'{text} ± {half:.3f}'


def _gain_text(gain: tuple[float, float]) -> str:
    return '–' if math.isnan(gain[0]) else f'mIoU {interval_text(gain, sign=True)}'
