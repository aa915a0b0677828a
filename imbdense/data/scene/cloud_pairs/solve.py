"""The change dial on points of the second survey: choose edits, survey, count, correct."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.cloud_pairs.config import CHANGE_CLASSES, CloudPairConfig
from imbdense.data.scene.cloud_pairs.edits import Earthwork, ground_area, with_earthworks
from imbdense.data.scene.cloud_pairs.labels import ChangeMap, change_map
from imbdense.data.scene.clouds.survey import Survey
from imbdense.data.scene.pairs.edits import Edit, Element
from imbdense.data.scene.pairs.solve import Epoch, make_epochs
from imbdense.data.scene.subset import choose_subset
from imbdense.data.scene.world import World, WorldBuilder

_ROUNDS = 4
_GOAL = 0.5
_FIRST_DENSITY = 1.5


@dataclass(frozen=True)
class DatedCloud:
    """One date: its survey, ``label`` int8 (N,) and the ``edit`` of every changed point, int64 (N,), -1 = none."""

    survey: Survey
    epoch: Epoch
    label: NDArray[np.int8]
    edit: NDArray[np.int64]


@dataclass(frozen=True)
class SurveyedPair:
    """Both dates, the change map with the edits made, the share reached, and a JSON report."""

    dates: tuple[DatedCloud, DatedCloud]
    changes: ChangeMap
    share: float
    report: dict[str, Any]


def solve_changes(config: CloudPairConfig, builder: WorldBuilder, fixed: Sequence[Element], edits: Sequence[Edit],
                  works: Sequence[Earthwork], surveys: Sequence[Callable[[World], Survey]]) -> SurveyedPair:
    """Return the pair whose points of date 2 have the asked share of every change class.

    Of each class the edits are chosen whose expected points add up to the class's part of ``change_share``; the second
    date is surveyed, the points of every edit made are counted, those of the others expected from what edits of their
    class gave per m², and the choice is corrected, up to four surveys. The best one counts; then the first date is
    surveyed. ``surveys``: what surveys a world at date 1 and at date 2.
    """
    area = np.array([ground_area(edit) for edit in edits])
    kind = np.array([CHANGE_CLASSES.index(edit.kind) for edit in edits], np.int64)
    total = _FIRST_DENSITY * config.cloud.scene.size**2 / config.cloud.stereo.voxel**2 \
        if config.cloud.mode == 'photogrammetry' else config.cloud.lidar.density * config.cloud.scene.size**2
    expected = area * total / config.cloud.scene.size**2
    chosen: NDArray[np.bool_] = np.zeros(len(edits), bool)
    best: tuple[float, NDArray[np.bool_], tuple[Epoch, Epoch], ChangeMap, DatedCloud] | None = None
    for _ in range(_ROUNDS):
        before = chosen
        chosen = _choose(config, kind, expected, total, chosen if best else None)
        if best is not None and bool(np.array_equal(chosen, before)):
            break
        made = {int(k): edits[k] for k in np.flatnonzero(chosen)}
        epochs = make_epochs(builder, fixed, edits, chosen)
        changes = change_map(made, works, builder.ground, builder.terrain)
        second = _dated(surveys[1], with_earthworks(epochs[1].world, works), epochs[1], changes, 1)
        total = float(len(second.label))
        points = np.bincount(second.edit[second.edit >= 0], minlength=len(edits)).astype(np.float64)
        misses = _misses(config, kind, points, total)
        if best is None or misses[0] < best[0]:
            best = (misses[0], chosen, epochs, changes, second)
        if misses[1] <= _GOAL * config.tolerance:
            break
        expected = _learn(expected, area, kind, chosen, points)
    if best is None:
        raise RuntimeError('no survey was made of the pair')
    _, _, epochs, changes, second = best
    first = _dated(surveys[0], epochs[0].world, epochs[0], changes, 0)
    share = float((second.label > 0).mean())
    return SurveyedPair((first, second), changes, share, _report(config, second.label, share))


def _dated(survey: Callable[[World], Survey], world: World, epoch: Epoch, changes: ChangeMap, date: int) -> DatedCloud:
    """Survey one date and label its points."""
    found = survey(world)
    return DatedCloud(found, dataclasses.replace(epoch, world=world), *changes.label(found.cloud, epoch, date))


def _targets(config: CloudPairConfig) -> dict[int, float]:
    """Asked share of the points per change class."""
    everything = sum(config.kinds.values())
    return {CHANGE_CLASSES.index(name): config.change_share * weight / everything
            for name, weight in config.kinds.items() if weight > 0}


def _choose(config: CloudPairConfig, kind: NDArray[np.int64], expected: NDArray[np.float64], total: float,
            start: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The edits of each class that add up to its part; at least one where any is asked for."""
    chosen = np.zeros(len(kind), bool)
    for number, share in _targets(config).items():
        members = np.flatnonzero(kind == number)
        if len(members):
            least = 1 if config.change_share > 0 else 0
            chosen[members] = choose_subset(expected[members], share * total, least,
                                            None if start is None else start[members])
    return chosen


def _misses(config: CloudPairConfig, kind: NDArray[np.int64], points: NDArray[np.float64], total: float
            ) -> tuple[float, float]:
    """(Mean over the classes plus three times the total, largest of them): relative deviations from what is asked."""
    targets = _targets(config)
    found = np.bincount(kind, points, len(CHANGE_CLASSES)) / max(total, 1)
    each = [abs(found[number] / share - 1) for number, share in targets.items() if share > 0 and (kind == number).any()]
    together = abs(found.sum() / config.change_share - 1) if config.change_share > 0 else float(found.sum())
    return float(np.mean([*each, 0.0])) + 3 * together, max([together, *(0.5 * value for value in each)])


def _learn(expected: NDArray[np.float64], area: NDArray[np.float64], kind: NDArray[np.int64],
           chosen: NDArray[np.bool_], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points where an edit was made, else its area times the points per m² of its class."""
    learnt = expected.copy()
    for number in np.unique(kind[chosen]):
        mine = kind == number
        rate = max(float(points[mine & chosen].sum()), 1.0) / max(float(area[mine & chosen].sum()), 1e-9)
        learnt[mine] = area[mine] * rate
    return np.where(chosen, points, learnt)


def _report(config: CloudPairConfig, label: NDArray[np.int8], share: float) -> dict[str, Any]:
    """What was asked and what the second date has, by class name."""
    counts = np.bincount(label[label >= 0], minlength=len(CHANGE_CLASSES))
    asked = {CHANGE_CLASSES[number]: value for number, value in _targets(config).items()}
    reached = {name: float(counts[CHANGE_CLASSES.index(name)]) / max(len(label), 1) for name in asked}
    off = [name for name, value in asked.items() if value > 0 and abs(reached[name] / value - 1) > config.tolerance]
    present = [int(value) for value in counts if value > 0]
    return {'asked_share': config.change_share, 'share': share, 'asked': asked, 'reached': reached,
            'outside_tolerance': off, 'imbalance_ratio': max(present) / min(present) if len(present) > 1 else None}
