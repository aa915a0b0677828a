"""Everything the sections share: which runs, classes, colours, rare classes, groups and measure."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imbdense.report.comparison import Experiment, best_for, group_runs
from imbdense.report.measures import (
    Scale,
    choose_scale,
    class_counts,
    count_record,
    count_unit,
    group_members,
    rare_classes,
)
from imbdense.report.workdir import Run

UNIT_WORDS = {'pixels': 'pixels', 'instances': 'objects', 'images': 'images', 'regions': 'regions'}
POINT_WORDS = {'pixels': 'points', 'images': 'scenes'}


@dataclass(frozen=True)
class Story:
    """What a report tells.

    Attributes:
        common: what the names of all experiments began with; it is cut off them.
        runs, experiments: the first experiment is the baseline. best: the best one for the rare classes, if several.
        classes, colours: in label order. rare: rarest first. groups: head / medium / tail -> class names.
        counts: (C,) training counts or ``None``. record: the stored class counts. unit: what ``counts`` counts.
        scale: leading measure.
    """

    common: str
    runs: list[Run]
    experiments: list[Experiment]
    best: Experiment | None
    classes: list[str]
    colours: dict[str, str]
    rare: list[str]
    groups: dict[str, list[str]]
    counts: np.ndarray | None
    record: dict[str, Any]
    unit: str
    scale: Scale

    @property
    def baseline(self) -> Experiment:
        """The experiment the others are compared with."""
        return self.experiments[0]

    @property
    def series(self) -> list[str]:
        """Names of the experiments for legends."""
        return [experiment.label for experiment in self.experiments]

    def by_rarity(self) -> list[str]:
        """Class names, most frequent first; label order when nothing was counted."""
        if self.counts is None:
            return self.classes
        return [self.classes[i] for i in np.argsort(-self.counts, kind='stable').tolist()]

    def share(self, name: str) -> float | None:
        """Share of a class in the training labels, in percent."""
        if self.counts is None or self.counts.sum() == 0:
            return None
        return float(100 * self.counts[self.classes.index(name)] / self.counts.sum())


def word_of(unit: str, record: dict[str, Any]) -> str:
    """What a unit of stored class counts is called on the page: points and scenes where clouds were counted."""
    if record.get('of_points') and unit in POINT_WORDS:
        return POINT_WORDS[unit]
    return UNIT_WORDS[unit]


def make_story(runs: Sequence[Run], pattern: str | None = None, baseline: str | None = None) -> Story:
    """Join runs into experiments and find out what matters in them.

    Raises:
        ValueError: the runs have different class lists, or there is no experiment called ``baseline``.
    """
    classes = next((run.classes for run in runs if run.classes), [])
    for run in runs:
        if run.classes and run.classes != classes:
            raise ValueError(
                f'{run.path} has the classes {run.classes}, but {runs[0].path} has {classes}; runs on different class '
                f'lists cannot be compared in one report. Make one report for each.'
            )
    experiments = group_runs(runs, pattern)
    common = common_start([experiment.name for experiment in experiments])
    if baseline is not None:
        names = [experiment.name for experiment in experiments]
        baseline = baseline if baseline in names else f'{common}{baseline}'
        if baseline not in names:
            raise ValueError(f'--baseline {baseline!r} is not among the experiments {names}.')
        experiments.insert(0, experiments.pop(names.index(baseline)))
    experiments = [Experiment(experiment.name[len(common) :], experiment.runs) for experiment in experiments]
    scale = choose_scale(runs, classes)
    rare = rare_classes(runs, classes)
    record = count_record(runs)
    unit = count_unit(record) or ('pixels' if scale.measure in ('IoU', 'Dice') else 'instances')
    return Story(
        common,
        list(runs),
        experiments,
        best_for(experiments, scale, rare),
        classes,
        class_colours(runs, classes),
        rare,
        group_members(runs, classes),
        class_counts(runs, classes),
        record,
        word_of(unit, record),
        scale,
    )


def common_start(names: Sequence[str]) -> str:
    """What all names begin with, up to a separator, so that something is left of each; '' for a single name."""
    if len(names) < 2:
        return ''
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names))
    start = ''.join(letters[0] for letters in same)
    while start and (start[-1] not in '-_. ' or any(name == start for name in names)):
        start = start[:-1]
    return start


def class_colours(runs: Sequence[Run], classes: Sequence[str]) -> dict[str, str]:
    """Colour of each class as '#rrggbb': the palette of the data set, else evenly spread hues."""
    palettes = [run.info.get('palette') or [] for run in runs]
    return palette_colours(classes, next((found for found in palettes if found and len(found) >= len(classes)), None))


def palette_colours(classes: Sequence[str], palette: Any) -> dict[str, str]:
    """Class name -> '#rrggbb' from a list of RGB triples; evenly spread hues when it is absent or too short."""
    if palette is not None and not isinstance(palette, str) and len(palette) >= len(classes):
        return {name: '#{:02x}{:02x}{:02x}'.format(*(int(v) for v in palette[i][:3])) for i, name in enumerate(classes)}
    spread = [colorsys.hsv_to_rgb(i * 0.618 % 1, 0.62, 0.92) for i in range(len(classes))]
    return {name: '#{:02x}{:02x}{:02x}'.format(*(round(255 * v) for v in rgb)) for name, rgb in zip(classes, spread)}
