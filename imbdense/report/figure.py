"""The main result as one small PNG, for a README or a slide: rare classes before and after."""

from __future__ import annotations

import io
import math
from pathlib import Path

from imbdense.report.comparison import class_interval, mean_of
from imbdense.report.story import Story
from imbdense.report.svg import shorten
from imbdense.utils.files import atomic_write_bytes

COLOURS = ('#9aa5b1', '#e8590c', '#1c7ed6', '#2f9e44', '#ae3ec9', '#f08c00', '#0c8599', '#c2255c')


def write_figure(story: Story, path: Path) -> None:
    """Draw grouped bars of the mean and of every rare class, one colour per experiment, with 95 % whiskers.

    Raises:
        ValueError: no run has an evaluation to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ['all classes', *story.rare]
    values = [
        [mean_of(experiment, story.scale), *(class_interval(experiment, story.scale, name) for name in story.rare)]
        for experiment in story.experiments
    ]
    if all(math.isnan(value) for row in values for value, _ in row):
        raise ValueError('--figure: no run has finished an evaluation, there is nothing to draw.')
    figure = Figure(figsize=(1.5 + 1.25 * len(names), 3.4), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(values)
    for index, (experiment, row) in enumerate(zip(story.experiments, values)):
        places = [i + (index - (len(values) - 1) / 2) * width for i in range(len(names))]
        heights = [0 if math.isnan(value) else value for value, _ in row]
        errors = [0 if math.isnan(half) else half for _, half in row]
        axes.bar(
            places,
            heights,
            width * 0.92,
            color=COLOURS[index % len(COLOURS)],
            label=experiment.name,
            yerr=errors if any(errors) else None,
            error_kw={'elinewidth': 1, 'ecolor': '#333'},
        )
        for place, height, error in zip(places, heights, errors):
            axes.text(place, height + error + 1, f'{height:.0f}', ha='center', va='bottom', fontsize=8, color='#333')
    labels = [names[0], *(f'{shorten(name, 16)}\n{_share(story, name)}' for name in story.rare)]
    axes.set_xticks(range(len(names)), labels, fontsize=9)
    axes.set_ylabel(f'{story.scale.measure} (%)')
    axes.set_ylim(0, min(112, axes.get_ylim()[1] * 1.08))
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc='upper right', bbox_to_anchor=(1, 1.14), ncols=len(values))
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', metadata={'Software': None})
    atomic_write_bytes(path, buffer.getvalue())


def _share(story: Story, name: str) -> str:
    """'0.05 %' below the class name."""
    share = story.share(name)
    return '' if share is None else f'{share:.2g} % of {story.unit}'
