"""The picture of the imbalance grid: per data set, the mean against the rare classes, one mark per row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.imbalance_axes import LOSSES, POST_HOCS, SAMPLINGS
from imbdense.benchmark.imbalance_page import PLAIN
from imbdense.benchmark.imbalance_scores import Scores, collect_scores, values_of
from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import mean_interval
from imbdense.utils.files import atomic_open

COLOURS = ('#495057', '#e8590c', '#f08c00', '#1c7ed6', '#0c8599', '#ae3ec9', '#e64980', '#2f9e44', '#862e9c')
MARKERS = ('o', '^', 's')
FILLS = ('full', 'none', 'left')


def draw_imbalance(suites: Sequence[Suite], runs: Sequence[Run], path: Path) -> bool:
    """Write a PNG with a panel per data set that has results; False when there is none.

    Colour = loss, shape = sampling, fill = post-hoc step; bars are 95 % Student-t intervals over the seeds. Dotted
    lines: natural sampling with cross-entropy.
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    scores = collect_scores(runs)
    shown = [suite for suite in suites if any(key[0] == suite.name and value for key, value in scores.items())]
    if not shown:
        return False
    figure, axes = plt.subplots(1, len(shown), figsize=(4.8 * len(shown), 5.4), squeeze=False)
    for axis, suite in zip(axes.flat, shown, strict=True):
        _panel(axis, suite, scores)
    figure.legend(*_legend(scores), loc='lower center', ncols=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.16, 1, 1))
    with atomic_open(path) as handle:
        figure.savefig(handle, format='png', dpi=110)
    plt.close(figure)
    return True


def _panel(axis: Any, suite: Suite, scores: Scores) -> None:
    """One data set."""
    for row in sorted({method for name, method, _ in scores if name == suite.name}):
        (mean, mean_half), (rare, rare_half) = (
            mean_interval(list(values_of(scores, suite.name, row, key).values())) for key in ('mean', 'rare')
        )
        if mean != mean:  # refused
            continue
        axis.errorbar(mean, rare, xerr=mean_half, yerr=rare_half, markersize=8, elinewidth=0.6, alpha=0.9, **_look(row))
        if row == PLAIN:
            axis.axvline(mean, color='#adb5bd', ls=':')
            axis.axhline(rare, color='#adb5bd', ls=':')
    axis.set_title(suite.name)
    axis.set_xlabel(suite.mean_key)
    axis.set_ylabel('mean over the rare classes')


def _look(row: str) -> dict[str, Any]:
    """Colour, marker and fill of a row's name."""
    sampling, loss, *step = row.split('+')
    return {
        'color': COLOURS[list(LOSSES).index(loss) % len(COLOURS)],
        'marker': MARKERS[list(SAMPLINGS).index(sampling) % len(MARKERS)],
        'fillstyle': FILLS[list(POST_HOCS).index(step[0] if step else 'none') % len(FILLS)],
        'linestyle': 'none',
    }


def _legend(scores: Scores) -> tuple[list[Any], list[str]]:
    """One entry per point of each axis that occurs."""
    from matplotlib.lines import Line2D

    parts = [(method.split('+') + ['none'])[:3] for _, method, _ in scores]
    entries = []
    for loss in (name for name in LOSSES if any(part[1] == name for part in parts)):
        entries.append((_look(f'natural+{loss}') | {'marker': 's'}, loss))
    for sampling in (name for name in SAMPLINGS if any(part[0] == name for part in parts)):
        entries.append((_look(f'{sampling}+ce'), f'{sampling} sampling'))
    for step in (name for name in POST_HOCS if any(part[2] == name for part in parts)):
        entries.append((_look(f'natural+ce+{step}'), f'post hoc: {step}'))
    return [Line2D([], [], **look) for look, _ in entries], [name for _, name in entries]
