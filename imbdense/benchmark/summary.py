"""Means, intervals and tables over the seeds of a finished grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return (mean, half width) of the Student-t confidence interval; the half width of one value is NaN."""
    data = np.asarray([value for value in values if value is not None and math.isfinite(value)], dtype=np.float64)
    if data.size == 0:
        return math.nan, math.nan
    if data.size == 1:
        return float(data[0]), math.nan
    half = stats.t.ppf(0.5 + level / 2, data.size - 1) * data.std(ddof=1) / math.sqrt(data.size)
    return float(data.mean()), float(half)


def method_values(runs: Sequence[Run], method: str, key: str) -> dict[int, float]:
    """The value of one result key per seed, for the finished runs of a method."""
    found = {}
    for run in runs:
        result = run.result() if run.method.name == method else None
        if result is not None and key in result:
            found[run.seed] = result[key]
    return found


def paired_gain(runs: Sequence[Run], method: str, baseline: str, key: str) -> tuple[float, float]:
    """(mean, half width) of value(method) - value(baseline) over the seeds both have."""
    ours, theirs = method_values(runs, method, key), method_values(runs, baseline, key)
    return mean_interval([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])


def markdown_table(suite: Suite, runs: Sequence[Run]) -> str:
    """One table: a row per method, a column per key, mean ± 95 % interval; the first method is the baseline.

    The last columns show the paired gain of the mean and of the rarest class over the baseline, seed by seed. Methods
    without a finished run are left out.
    """
    mine = [run for run in runs if run.suite is suite]
    keys = [suite.mean_key, *suite.rare_keys, *suite.group_keys]
    baseline, rare = suite.methods[0].name, suite.rare_keys[0]
    header = ['method', *keys, f'Δ {suite.mean_key}', f'Δ {rare}', 'seeds']
    lines = ['| ' + ' | '.join(header) + ' |', '|' + ' --- |' * len(header)]
    for method in suite.methods:
        values = [list(method_values(mine, method.name, key).values()) for key in keys]
        if not values[0]:
            continue  # no run of this method has ended
        cells = [method.name, *(_format(*mean_interval(column)) for column in values)]
        if method.name == baseline:
            cells += ['–', '–']
        else:
            gains = (paired_gain(mine, method.name, baseline, key) for key in (suite.mean_key, rare))
            cells += [_format(*gain, sign=True) for gain in gains]
        lines.append('| ' + ' | '.join([*cells, str(len(values[0]))]) + ' |')
    return '\n'.join(lines)


def _format(mean: float, half: float, *, sign: bool = False) -> str:
    """'0.123 ± 0.004', or the mean alone for one seed; scores lie in [0, 1], so three decimals."""
    if math.isnan(mean):
        return '–'
    text = f'{mean:+.3f}' if sign else f'{mean:.3f}'
    return text if math.isnan(half) else f'{text} ± {half:.3f}'
