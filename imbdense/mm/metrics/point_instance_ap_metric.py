"""Average precision of point instances by ScanNet's protocol, per class and per frequency group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.metrics.groups import GroupSpec, mean_present
from imbdense.core.metrics.instance_ap import (
    ClassMatches,
    average_precision_table,
    match_instances,
    points_of_map,
    points_of_masks,
    scene_instances,
)
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS

Objects = tuple[list[NDArray[np.int64]], NDArray[Any], NDArray[Any]]


@METRICS.register_module()
class PointInstanceAPMetric(TableMetric):
    """AP, AP50 and AP25 of point instances as ScanNet and STPLS3D measure them, per class and per frequency group.

    All values are in [0, 1]. Returned: ``AP`` (mean over IoU .5, .55, ... .9), ``AP50``, ``AP25``; ``AP_<group>`` and
    the others per group; ``AP/<class>``, ``AP50/<class>``, ``AP25/<class>``. A class without a single object of at
    least ``min_region`` points is absent: left out of every mean and of the returned values, named in the log. The
    rules are those of :mod:`imbdense.core.metrics.instance_ap`.

    Truth: ``gt_pts_seg`` with ``semantic`` and ``instance`` (N,), −1 = ignored / no object. Prediction:
    ``pred_instances`` with ``masks`` (K, N), ``labels``, ``scores`` (K,); without it ``pred_pts_seg`` with ``instance``
    and ``semantic`` (N,): the class of an object is the most frequent of its points (ties: the smaller), its score the
    mean over its points of ``scores`` (N, C) of that class, and 1 where the model gives no scores.

    Across ranks: objects and the matches of every scene are gathered once; the curves are made of all scenes.

    Args:
        min_region: points of the smallest object that counts (10 in STPLS3D, 100 in ScanNet).
        stuff: names of classes that are no objects (ground); their points are void.
        groups: ``None`` = head/medium/tail thirds by count; or count ranges; or lists of class names.
        class_counts: counts behind the groups: one number per class, a ``class_counts.json``, or ``None`` = the
            training counts of ``ClassCountHook`` if there are any, else the objects of the evaluated set.
        count: unit read from counted files and hooks.
        collect_device, prefix: as in mmengine.

    Artefact: ``kind='instance_ap'``, ``thresholds``, ``per_class``: ``{class, AP, AP50, AP25, by_threshold, objects,
    predictions}``, ``absent``.
    """

    card = 'point_instance_ap'
    tasks = ('point instance segmentation',)

    def __init__(
        self,
        min_region: int = 10,
        stuff: Sequence[str] = (),
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'instances',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.min_region = check_integer('min_region', min_region, low=1, owner=type(self).__name__)
        self.stuff, self.groups = tuple(stuff), groups
        self.class_counts, self.count_unit = class_counts, count

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """Objects and predictions per class, and the matches of one scene."""
        classes, place = self.classes, str(sample.get('scene') or sample.get('points_path') or index)
        things = self._things(classes)
        if 'gt_pts_seg' not in sample or 'instance' not in sample['gt_pts_seg']:
            raise KeyError(f'{type(self).__name__}: scene {place} has no gt_pts_seg with instance; does the data set '
                           f'have instance labels, and does its pipeline load and pack them?')
        truth = sample['gt_pts_seg']
        semantic, instance = _numbers(truth['semantic']), _numbers(truth['instance'])
        try:
            points, labels, scores = self._predicted(sample, semantic.size, place)
            scene = scene_instances(semantic, instance, points, labels, scores, things, self.min_region)
        except ValueError as error:
            raise ValueError(f'{type(self).__name__}: scene {place}: {error}') from None
        matches = {
            label: match_instances(scene, label, self.min_region)
            for label in np.union1d(scene.truth_class, scene.pred_class).tolist()
        }
        tables = np.zeros((2, len(classes)), np.int64)
        for label, match in matches.items():
            tables[:, label] = match.objects, match.predictions
        return {'objects': as_table(tables[0]), 'predictions': as_table(tables[1])}, (index, matches)

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Curves over all scenes, their areas, means."""
        classes = self.classes
        scenes: list[Mapping[int, ClassMatches]] = [matches for _, matches in sorted(tally.records, key=lambda r: r[0])]
        table = average_precision_table(scenes, len(classes))
        values = {'AP': table[:, :-1].mean(axis=1), 'AP50': table[:, 0], 'AP25': table[:, -1]}
        objects = tally.tables['objects']
        groups, counts = resolve_groups(
            self.groups, self.class_counts, self.count_unit, classes, objects, 'objects of the evaluated set'
        )
        scalars = {name: mean_present(column) for name, column in values.items()}
        for name, column in values.items():
            scalars |= {f'{name}_{group}': mean for group, mean in groups.means(column).items()}
            scalars |= {f'{name}/{label}': float(value) for label, value in zip(classes, column)}
        absent = [label for label in self._things(classes) if not objects[label]]
        self.artifact = jsonable(
            artifact_head('instance_ap', classes, counts, groups, scalars)
            | {'thresholds': 'IoU .5, .55, ... .9 and .25', 'min_region': self.min_region, 'absent': absent,
               'per_class': [
                   {'class': name, **{key: column[i] for key, column in values.items()}, 'by_threshold': table[i],
                    'objects': objects[i], 'predictions': tally.tables['predictions'][i]}
                   for i, name in enumerate(classes)]}
        )  # fmt: skip
        rows = [
            (classes[i], objects[i], tally.tables['predictions'][i], *(column[i] for column in values.values()))
            for i in np.argsort(-objects, kind='stable')
        ]
        by_group = ', '.join(f'AP_{name} {value:.4f}' for name, value in groups.means(values['AP']).items())
        notes = [f'AP {scalars["AP"]:.4f}, {by_group}, AP50 {scalars["AP50"]:.4f}, AP25 {scalars["AP25"]:.4f}',
                 *group_notes(groups, classes, absent)]  # fmt: skip
        log_table('Point instances', ('class', 'objects', 'predicted', *values), rows, notes)
        return scalars

    def _things(self, classes: list[str]) -> list[int]:
        """Indices of the classes that are objects."""
        unknown = sorted(set(self.stuff) - set(classes))
        if unknown:
            raise ValueError(f'{type(self).__name__}: stuff names {unknown}, which are no classes; they are {classes}.')
        return [index for index, name in enumerate(classes) if name not in self.stuff]

    def _predicted(self, sample: Mapping[str, Any], num_points: int, place: str) -> Objects:
        """Points, classes and scores of the predicted objects."""
        if 'pred_instances' in sample:
            found = sample['pred_instances']
            points = points_of_masks(_numbers(found['masks']), num_points)
            return points, _numbers(found['labels']), _numbers(found['scores'])
        found = sample.get('pred_pts_seg') or {}
        if 'instance' not in found or 'semantic' not in found:
            raise KeyError(f'{type(self).__name__}: scene {place} has neither pred_instances (masks, labels, scores) '
                           f'nor pred_pts_seg with instance and semantic; does the model predict objects?')
        semantic, instance = _numbers(found['semantic']), _numbers(found['instance'])
        if not semantic.size == instance.size == num_points:
            raise ValueError(f'{num_points} true points but {semantic.size} predicted classes and {instance.size} ids.')
        points = points_of_map(np.where(semantic >= 0, instance, -1))
        labels = np.array([int(np.bincount(semantic[index]).argmax()) for index in points], np.int64)
        if 'scores' not in found:
            return points, labels, np.ones(len(points))
        scores = _numbers(found['scores'])
        return points, labels, np.array([scores[index, label].mean() for index, label in zip(points, labels)])


def _numbers(values: Any) -> NDArray[Any]:
    """A tensor or array as array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
