"""The main result as one small PNG, for a README or a slide: rare classes before and after, with pictures."""

from __future__ import annotations

import io
import math
from itertools import islice
from pathlib import Path
from typing import Any

from imbdense.report.comparison import class_interval, mean_of
from imbdense.report.images import fit
from imbdense.report.sections.showcase import Comparison, comparisons
from imbdense.report.story import Story
from imbdense.report.svg import shorten
from imbdense.utils.files import atomic_write_bytes

COLOURS = ('#9aa5b1', '#e8590c', '#1c7ed6', '#2f9e44', '#ae3ec9', '#f08c00', '#0c8599', '#c2255c')
ROWS = 2


def write_figure(story: Story, path: Path) -> None:
    """Bars of the mean and of every rare class, one colour per experiment, with 95 % whiskers; below them, where two
    experiments stored the same images, rows of image, truth, baseline and best.

    Raises:
        ValueError: no run has an evaluation to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if all(math.isnan(mean_of(experiment, story.scale)[0]) for experiment in story.experiments):
        raise ValueError('--figure: no run has finished an evaluation, there is nothing to draw.')
    places = list(islice((place for name in story.rare for place in comparisons(story, name, 1)), ROWS))
    width = max(1.5 + 1.25 * (1 + len(story.rare)), 8.0 if places else 0.0)
    shapes = [place.image.shape for place in places]
    picture_heights = [width / 4 * shape[0] / shape[1] + 0.1 for shape in shapes]
    figure = Figure(figsize=(width, 3.3 + sum(picture_heights)), dpi=150, layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + len(places), 4, height_ratios=[3.3, *picture_heights])
    _draw_bars(figure.add_subplot(grid[0, :]), story)
    for row, place in enumerate(places, start=1):
        _draw_place(figure, grid, row, place, story)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', metadata={'Software': None})
    atomic_write_bytes(path, buffer.getvalue())


def _draw_bars(axes: Any, story: Story) -> None:
    """Grouped bars with the value on top."""
    names = ['all classes', *story.rare]
    step = 0.8 / len(story.experiments)
    for index, experiment in enumerate(story.experiments):
        row = [
            mean_of(experiment, story.scale),
            *(class_interval(experiment, story.scale, name) for name in story.rare),
        ]
        places = [i + (index - (len(story.experiments) - 1) / 2) * step for i in range(len(names))]
        heights = [0 if math.isnan(value) else value for value, _ in row]
        errors = [0 if math.isnan(half) else half for _, half in row]
        axes.bar(
            places, heights, step * 0.92, color=COLOURS[index % len(COLOURS)], label=experiment.name,
            yerr=errors if any(errors) else None, error_kw={'elinewidth': 1, 'ecolor': '#333'},
        )  # fmt: skip
        for place, height, error in zip(places, heights, errors):
            axes.text(place, height + error + 1, f'{height:.0f}', ha='center', va='bottom', fontsize=8, color='#333')
    labels = [names[0], *(f'{shorten(name, 16)}\n{_share(story, name)}' for name in story.rare)]
    axes.set_xticks(range(len(names)), labels, fontsize=9)
    axes.set_ylabel(f'{story.scale.measure} (%)')
    axes.set_ylim(0, min(112, axes.get_ylim()[1] * 1.06))
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc='lower right', bbox_to_anchor=(1, 1), ncols=len(story.experiments))


def _draw_place(figure: Any, grid: Any, row: int, place: Comparison, story: Story) -> None:
    """One row of pictures with their titles."""
    best = story.best.name if story.best else ''
    titles = ('image', f'truth: {place.name}', story.baseline.name, best)
    for column, picture in enumerate((place.image, place.truth, place.before, place.after)):
        axes = figure.add_subplot(grid[row, column])
        axes.imshow(fit(picture, 420))
        axes.set_axis_off()
        if column == 1 or row == 1:
            axes.set_title(shorten(titles[column], 26), fontsize=9)


def _share(story: Story, name: str) -> str:
    """'0.05 % of pixels' below the class name."""
    share = story.share(name)
    return '' if share is None else f'{share:.2g} % of {story.unit}'
