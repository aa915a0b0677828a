"""The picture of `imbdense benchmark ssl-curve`: score, gain per class and calibration against the label volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.benchmark.runs import Run
from imbdense.benchmark.ssl_curve_page import BASE, SEMI, images_of, of_suite, volumes_of
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import mean_interval, method_values, paired_gain
from imbdense.utils.files import atomic_open

LOOKS = {BASE: {'color': '#495057', 'marker': 'o'}, SEMI: {'color': '#e8590c', 'marker': '^'}}


def draw_curve(runs: Sequence[Run], classes: Sequence[str], path: Path) -> bool:
    """Write a PNG of three panels; False when no volume has a finished pair of runs. Bars: 95 % intervals."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    volumes = [suite for suite in volumes_of(runs) if _finished(runs, suite)]
    if not volumes:
        return False
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2))
    images = [images_of(suite) for suite in volumes]
    for axis, key in ((axes[0], 'mIoU'), (axes[2], 'ECE')):
        for method, look in LOOKS.items():
            values = [
                mean_interval(list(method_values(of_suite(runs, suite), method, key).values())) for suite in volumes
            ]
            _line(axis, images, values, label=method, **look)
        axis.set_title(key)
        axis.legend(frameon=False)
    for name in classes:
        values = [paired_gain(of_suite(runs, suite), SEMI, BASE, f'IoU/{name}') for suite in volumes]
        _line(axes[1], images, values, label=name, marker='.')
    axes[1].axhline(0.0, color='#adb5bd', ls=':')
    axes[1].set_title('gain in IoU per class')
    axes[1].legend(frameon=False, fontsize=7, ncols=2)
    for axis in axes:
        axis.set_xscale('log')
        axis.set_xticks(images, [f'{suite.name}\n{count}' for suite, count in zip(volumes, images, strict=True)])
        axis.minorticks_off()
        axis.set_xlabel('labelled images')
    figure.tight_layout()
    with atomic_open(path) as handle:
        figure.savefig(handle, format='png', dpi=100)
    plt.close(figure)
    return True


def _finished(runs: Sequence[Run], suite: Suite) -> bool:
    """Whether a volume has a finished pair of runs."""
    gain = paired_gain(of_suite(runs, suite), SEMI, BASE, 'mIoU')[0]
    return gain == gain


def _line(axis: Any, places: Sequence[int], values: Sequence[tuple[float, float]], **look: Any) -> None:
    """Means with intervals; an unknown interval is left out."""
    means = [mean for mean, _ in values]
    halves = [half if half == half else 0.0 for _, half in values]
    axis.errorbar(places, means, yerr=halves, capsize=2, elinewidth=0.8, **look)
