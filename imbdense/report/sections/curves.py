"""How each class developed over training."""

from __future__ import annotations

import math

from imbdense.report.comparison import Experiment
from imbdense.report.measures import class_value, plain_value
from imbdense.report.story import Story
from imbdense.report.svg import legend, line_panel

Points = list[tuple[float, float]]
LIMIT = 40
"""Panels beyond this many classes say nothing any more; the rarest are shown."""


def curve_section(story: Story) -> str:
    """Small multiples: loss, overall mean, then one panel per class, the rarest first."""
    loss = [_average([run.curve for run in experiment.runs]) for experiment in story.experiments]
    panels = [line_panel('training loss', [_thin(line) for line in loss], story.series, high=None)]
    if story.scale.mean_key:
        mean = [_over_time(story, experiment, None) for experiment in story.experiments]
        if max(map(len, mean)) > 1:
            panels.append(line_panel(story.scale.mean_key.rsplit('/', 1)[-1], mean, story.series))
    for name in story.by_rarity()[::-1][:LIMIT]:
        lines = [_over_time(story, experiment, name) for experiment in story.experiments]
        if max(map(len, lines)) > 1:
            panels.append(line_panel(name, lines, story.series, rare=name in story.rare))
    if not any(panels):
        return ''
    key = legend(story.series) if len(story.experiments) > 1 else ''
    return (
        f'{key}<div class="panels">{"".join(panels)}</div><p class="note">{story.scale.measure} of the validation in '
        'percent, mean over the seeds that reached the iteration; the rarest class first.</p>'
    )


def _over_time(story: Story, experiment: Experiment, name: str | None) -> Points:
    """(iteration, percent) of a class, or of the overall mean, averaged over the runs."""
    lines = []
    for run in experiment.runs:
        line: Points = []
        for evaluation in run.evaluations:
            if run.last is not None and evaluation.split != 'val' and run.last.split != evaluation.split:
                continue
            if name is None:
                found = plain_value(evaluation.scalars, [story.scale.mean_key or ''])
                value = None if found is None else found[1]
            else:
                value = class_value(evaluation.scalars, story.scale.measure, name)
            if value is not None and evaluation.split == 'val':
                line.append((evaluation.step, value * story.scale.factor))
        lines.append(line)
    return _average(lines)


def _average(lines: list[Points] | list[list[tuple[int, float]]]) -> Points:
    """Mean over runs at every iteration that occurs."""
    sums: dict[float, list[float]] = {}
    for line in lines:
        for step, value in line:
            if math.isfinite(value):
                sums.setdefault(step, []).append(value)
    return [(step, sum(values) / len(values)) for step, values in sorted(sums.items())]


def _thin(line: Points, limit: int = 120) -> Points:
    """Averages of neighbouring points, so that a long log stays a small picture."""
    size = -(-len(line) // limit)
    if size <= 1:
        return line
    chunks = [line[i : i + size] for i in range(0, len(line), size)]
    return [(chunk[-1][0], sum(v for _, v in chunk) / len(chunk)) for chunk in chunks]
