"""The picture of a grid: per suite, overall quality against the rare class, one mark with intervals per method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import mean_interval, method_values
from imbdense.utils.files import atomic_open

COLOURS = ('#495057', '#e8590c', '#f08c00', '#1c7ed6', '#0c8599', '#ae3ec9', '#2f9e44', '#e64980', '#862e9c')
MARKERS = 'osD'
"""Round for the first methods; another form where the colours begin anew."""
COLUMNS = 3


def draw_suites(suites: Sequence[Suite], runs: Sequence[Run], path: Path) -> bool:
    """Write a PNG with one panel per suite that has results; False when there is none.

    Up and to the right of the baseline (dotted lines) means: the rare class better and the mean not worse. Bars are
    95 % Student-t intervals over the seeds.
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    shown = [suite for suite in suites if any(run.suite is suite and run.result() is not None for run in runs)]
    if not shown:
        return False
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(5.6 * COLUMNS, 4.3 * rows), squeeze=False)
    for axis, suite in zip(axes.flat, shown):
        _panel(axis, suite, [run for run in runs if run.suite is suite])
    for axis in list(axes.flat)[len(shown) :]:
        axis.axis('off')
    figure.tight_layout()
    with atomic_open(path) as handle:
        figure.savefig(handle, format='png', dpi=110)
    plt.close(figure)
    return True


def _panel(axis: Any, suite: Suite, runs: Sequence[Run]) -> None:
    """One suite."""
    for index, method in enumerate(suite.methods):
        point = [
            mean_interval(list(method_values(runs, method.name, key).values()))
            for key in (suite.mean_key, suite.rare_keys[0])
        ]
        (mean, mean_half), (rare, rare_half) = point
        if mean != mean:  # no run of this method has ended
            continue
        last = index == len(suite.methods) - 1
        again, colour = divmod(index, len(COLOURS))
        axis.errorbar(
            mean, rare, xerr=mean_half, yerr=rare_half, fmt='*' if last else MARKERS[again % len(MARKERS)],
            markersize=15 if last else 7, color=COLOURS[colour], label=method.name, capsize=3, elinewidth=1,
            zorder=3 + last)
        if index == 0:
            axis.axvline(mean, color='#adb5bd', ls=':')
            axis.axhline(rare, color='#adb5bd', ls=':')
    axis.set_title(suite.name)
    axis.set_xlabel(_short(suite.mean_key))
    axis.set_ylabel(_short(suite.rare_keys[0]))
    axis.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1.01, 1.02), borderaxespad=0, frameon=False)


def _short(key: str) -> str:
    """'AP Bicycle' from 'coco/bbox_AP/Bicycle'."""
    return key.replace('coco/bbox_', '').replace('/', ' ')
