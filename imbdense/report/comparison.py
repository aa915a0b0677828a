"""Runs that differ only in their seed are one experiment: means, intervals, paired differences."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imbdense.benchmark.summary import mean_interval
from imbdense.report.measures import Scale, class_value, plain_value
from imbdense.report.workdir import SEED_SUFFIX, Run

Interval = tuple[float, float]
"""(mean, half width of the 95 % Student-t interval); NaN half width for one seed, NaN mean without a value."""


@dataclass(frozen=True)
class Experiment:
    """Runs of one configuration with different seeds."""

    name: str
    runs: list[Run]

    @property
    def mixed(self) -> bool:
        """Whether the grouped runs differ in more than their seed."""
        hashes = {run.info.get('config_hash') for run in self.runs if run.info.get('config_hash')}
        return len(hashes) > 1

    @property
    def label(self) -> str:
        """Name with the number of seeds."""
        return self.name if len(self.runs) == 1 else f'{self.name} (n={len(self.runs)})'


def group_runs(runs: Sequence[Run], pattern: str | None = None) -> list[Experiment]:
    """Group runs, keeping the order in which experiments were first given.

    Without ``pattern``: equal experiment names and, where known, equal configs apart from the seed. With it: the first
    group (or the whole match) of the regular expression in the folder name.

    Raises:
        ValueError: the pattern is not a regular expression or does not match a folder name.
    """
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        key = (_by_pattern(run.path, pattern), '') if pattern else (run.name, str(run.info.get('config_hash') or ''))
        grouped.setdefault(key, []).append(run)
    names = [name for name, _ in grouped]
    experiments = []
    for (name, _), members in grouped.items():
        if names.count(name) > 1:  # same name, other config: the folder names tell them apart
            name = SEED_SUFFIX.sub('', members[0].path.resolve().name) or name
        experiments.append(Experiment(name, members))
    taken: dict[str, int] = {}
    for place, experiment in enumerate(experiments):
        taken[experiment.name] = taken.get(experiment.name, 0) + 1
        if taken[experiment.name] > 1:
            experiments[place] = Experiment(f'{experiment.name} #{taken[experiment.name]}', experiment.runs)
    return experiments


def class_interval(experiment: Experiment, scale: Scale, name: str) -> Interval:
    """Mean and interval of one class over the seeds, in percent."""
    return mean_interval(list(_class_by_run(experiment, scale, name).values()))


def mean_of(experiment: Experiment, scale: Scale) -> Interval:
    """Mean and interval of the overall mean (mIoU, mAP) over the seeds, in percent."""
    return mean_interval(list(_mean_by_run(experiment, scale).values()))


def group_interval(experiment: Experiment, scale: Scale, members: Sequence[str]) -> Interval:
    """Mean and interval of the average over the classes of a group; absent classes are left out."""
    return mean_interval(list(_group_by_run(experiment, scale, members).values()))


def paired_class(ours: Experiment, base: Experiment, scale: Scale, name: str) -> Interval:
    """Difference of one class to the baseline: seed by seed where the seeds match, else of the means (no interval)."""
    return _paired(_class_by_run(ours, scale, name), _class_by_run(base, scale, name))


def paired_mean(ours: Experiment, base: Experiment, scale: Scale) -> Interval:
    """Difference of the overall mean to the baseline; see :func:`paired_class`."""
    return _paired(_mean_by_run(ours, scale), _mean_by_run(base, scale))


def paired_group(ours: Experiment, base: Experiment, scale: Scale, members: Sequence[str]) -> Interval:
    """Difference of a group average to the baseline; see :func:`paired_class`."""
    return _paired(_group_by_run(ours, scale, members), _group_by_run(base, scale, members))


def best_for(experiments: Sequence[Experiment], scale: Scale, rare: Sequence[str]) -> Experiment | None:
    """The experiment after the first with the highest average over the rare classes; ``None`` if there is one only."""
    scored = [(group_interval(experiment, scale, rare)[0], experiment) for experiment in experiments[1:]]
    scored = [(value, experiment) for value, experiment in scored if not math.isnan(value)]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


Key = tuple[int | None, int]


def _keyed(experiment: Experiment) -> list[tuple[Key, Run]]:
    """Runs by (seed, how often this seed came before), so that repeated seeds do not overwrite each other."""
    seen: dict[int | None, int] = {}
    out = []
    for run in experiment.runs:
        out.append(((run.seed, seen.get(run.seed, 0)), run))
        seen[run.seed] = seen.get(run.seed, 0) + 1
    return out


def _class_by_run(experiment: Experiment, scale: Scale, name: str) -> dict[Key, float]:
    """Value of a class in the last evaluation of each run."""
    found = {}
    for key, run in _keyed(experiment):
        value = class_value(run.last.scalars, scale.measure, name) if run.last else None
        if value is not None:
            found[key] = value * scale.factor
    return found


def _mean_by_run(experiment: Experiment, scale: Scale) -> dict[Key, float]:
    """Overall mean in the last evaluation of each run."""
    found = {}
    for key, run in _keyed(experiment):
        value = plain_value(run.last.scalars, [scale.mean_key]) if run.last and scale.mean_key else None
        if value is not None:
            found[key] = value[1] * scale.factor
    return found


def _group_by_run(experiment: Experiment, scale: Scale, members: Sequence[str]) -> dict[Key, float]:
    """Average over the classes of a group per run."""
    found = {}
    for key, run in _keyed(experiment):
        values = [class_value(run.last.scalars, scale.measure, name) for name in members] if run.last else []
        present = [value for value in values if value is not None]
        if present:
            found[key] = scale.factor * sum(present) / len(present)
    return found


def _paired(ours: dict[Key, float], base: dict[Key, float]) -> Interval:
    """Mean and interval of differences of equal seeds; without equal known seeds the difference of the means."""
    shared = sorted((key for key in ours.keys() & base.keys() if key[0] is not None), key=str)
    if shared:
        return mean_interval([ours[key] - base[key] for key in shared])
    if ours and base:
        return sum(ours.values()) / len(ours) - sum(base.values()) / len(base), math.nan
    return math.nan, math.nan


def _by_pattern(path: Path, pattern: str) -> str:
    """Group name of a folder."""
    name = path.resolve().name
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise ValueError(f'--group-by {pattern!r} is not a regular expression: {error}.') from error
    if match is None:
        raise ValueError(f'--group-by {pattern!r} does not match the work dir name {name!r}.')
    return match.group(1) if match.groups() else match.group(0)
