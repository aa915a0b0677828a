"""``imbdense.ChangeMIoU``: scores of change between point clouds whose names say what they are means of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.change3d import density_components
from imbdense.core.checks import check_choice, check_number
from imbdense.core.metrics.confusion import LabelRangeError, confusion_table
from imbdense.core.metrics.groups import GroupSpec
from imbdense.core.metrics.point_change import PointChangeScores, detected_objects, point_change_scores
from imbdense.mm.metrics.dense_sample import place_of
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS

CURES = {
    'gt_pts_seg': 'The evaluated pairs have no labels at epoch 2: look at split and need_labels of the data set.',
    'pred_pts_seg': 'Is the model an imbdense.SiamesePointChange or M3C2ChangeClassifier?',
}


@METRICS.register_module()
class ChangeMIoU(TableMetric):
    """IoU of the kinds of change between two point clouds, changed or not, and objects found, over all points.

    Class 0 is "unchanged". All values are in [0, 1]. Returned:

    * ``mIoU_change``: mean IoU of the kinds of change (classes 1 ...), "mIoU_ch" in papers; ``mIoU_all``: of all
      classes. Papers mix both up; so neither is called mIoU here.
    * ``change_precision``, ``change_recall``, ``change_F1``: any kind of change against unchanged.
    * ``aAcc``: points with the right class; ``mAcc``: mean recall of all classes.
    * ``IoU/<class>``, ``recall/<class>``; ``mIoU_change_<group>``: kinds of change of a frequency group.
    * ``detection_rate``, ``detection_rate/<class>``: share of the objects of change of which at least ``overlap`` of
      the points have the right class. Objects are the instances of the samples; points of change that belong to none
      (the ground where something was) form objects by connected components of a class (DBSCAN with ``eps``), where
      the sample has coordinates. Without either there is no rate.

    Args:
        absent: a class without a true point is left out of the means ('skip'), or its IoU counts 0 ('zero', as in the
            tracker of the authors' code: in ``mIoU_all`` only where it is predicted; recalls leave it out).
        overlap: see above. eps: metres. min_points: of a component.
        groups, class_counts, count: as in :class:`ConfusionMetric`; ``count='pixels'`` = points.
        ignore_index: label that is not counted.
        collect_device, prefix: as in mmengine.

    Across ranks: int64 tables are summed, so any number of ranks gives the same values. Artefact: ``kind=
    'point_change'``, ``table`` (rows = truth), ``per_class``, ``objects``.
    """

    card = 'pointcloud_change'
    tasks = ('point change',)

    def __init__(
        self,
        absent: Literal['skip', 'zero'] = 'skip',
        overlap: float = 0.3,
        eps: float = 2.0,
        min_points: int = 8,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        ignore_index: int = -1,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.absent = check_choice('absent', absent, ('skip', 'zero'), owner='ChangeMIoU')
        self.overlap = check_number('overlap', overlap, low=0.0, high=1.0, low_open=True, owner='ChangeMIoU')
        self.eps = check_number('eps', eps, low=0.0, low_open=True, owner='ChangeMIoU')
        self.min_points = int(min_points)
        self.groups, self.class_counts, self.count_unit = groups, class_counts, count
        self.ignore_index = int(ignore_index)

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The confusion table and the objects of one pair."""
        truth, pred = (_numbers(_field(sample, key, 'semantic')) for key in ('gt_pts_seg', 'pred_pts_seg'))
        size = len(self.classes)
        try:
            table = confusion_table(pred, truth, size, ignore_index=self.ignore_index)
        except LabelRangeError as error:
            raise error.at(place_of(sample)) from None
        except ValueError as error:
            raise ValueError(f'ChangeMIoU: {place_of(sample)}: {error}') from None
        objects = self._objects(sample, truth)
        found = np.zeros((2, size), dtype=np.int64)
        if objects is not None:
            found = detected_objects(objects, truth, pred, size, overlap=self.overlap)
        return {'table': as_table(table), 'objects': as_table(found)}, None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores of the summed tables."""
        table, objects, classes = tally.tables['table'], tally.tables['objects'], self.classes
        scores = point_change_scores(table, absent=self.absent)
        groups, counts = resolve_groups(
            self.groups, self.class_counts, self.count_unit, classes, scores.truth, 'true points of the evaluated set'
        )
        kinds = scores.iou.copy()
        kinds[0] = np.nan
        rate = np.divide(objects[1], objects[0], out=np.full(len(classes), np.nan), where=objects[0] > 0)
        total = objects.sum(axis=1)
        scalars = {
            'mIoU_change': scores.mean_change, 'mIoU_all': scores.mean_all, 'change_precision': scores.precision,
            'change_recall': scores.recall, 'change_F1': scores.f1, 'aAcc': scores.accuracy,
            'mAcc': scores.mean_recall, 'detection_rate': total[1] / total[0] if total[0] else float('nan'),
        }  # fmt: skip
        scalars |= {f'mIoU_change_{name}': mean for name, mean in groups.means(kinds).items()}
        scalars |= {f'IoU/{name}': float(value) for name, value in zip(classes, scores.iou)}
        scalars |= {f'recall/{name}': float(value) for name, value in zip(classes, scores.class_recall)}
        scalars |= {f'detection_rate/{name}': float(value) for name, value in zip(classes, rate)}
        absent = np.flatnonzero(scores.truth == 0).tolist()
        self.artifact = jsonable(
            artifact_head('point_change', classes, counts, groups, scalars)
            | {'table': table, 'per_class': {'IoU': scores.iou, 'detection_rate': rate}, 'objects': objects,
               'absent': absent, 'absent_counts': self.absent}
        )
        self._log(scores, classes, objects, rate, group_notes(groups, classes, absent))
        return scalars

    def _objects(self, sample: Mapping[str, Any], truth: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The object (N,) of every point of change, -1 = none; ``None`` where nothing tells."""
        known = sample['gt_pts_seg']
        found = np.full(len(truth), -1, dtype=np.int64)
        if 'instance' in known:
            found = _numbers(known['instance']).copy()
        if 'xyz' not in known:
            return found if 'instance' in known else None
        xyz, first = np.asarray(known['xyz'].cpu(), dtype=np.float64), int(found.max(initial=-1)) + 1
        for kind in range(1, len(self.classes)):
            rows = np.flatnonzero((truth == kind) & (found < 0))
            part = density_components(xyz[rows], self.eps, self.min_points)
            found[rows] = np.where(part >= 0, first + part, -1)
        return found

    def _log(
        self, scores: PointChangeScores, classes: list[str], objects: NDArray[np.int64], rate: NDArray[np.float64],
        notes: list[str],
    ) -> None:
        """One table, rarest class last."""
        order = np.argsort(-scores.truth, kind='stable')
        rows = [(classes[i], scores.truth[i], scores.iou[i], objects[0, i], rate[i]) for i in order]
        line = (f'mIoU_change {scores.mean_change:.4f} (classes 1 ...), mIoU_all {scores.mean_all:.4f}, changed or '
                f'not: precision {scores.precision:.4f}, recall {scores.recall:.4f}, F1 {scores.f1:.4f}')
        log_table('Change', ('class', 'true points', 'IoU', 'objects', 'detected'), rows, [line, *notes])


def _field(sample: Mapping[str, Any], key: str, name: str) -> Any:
    """``sample[key][name]``."""
    holder = sample.get(key)
    if holder is None or name not in holder:
        raise KeyError(f"ChangeMIoU: the sample of {place_of(sample) or 'an unnamed pair'} has no '{key}.{name}'. "
                       f'{CURES[key]}')
    return holder[name]


def _numbers(values: Any) -> NDArray[np.int64]:
    """int64 (N,)."""
    array: NDArray[np.int64] = np.asarray(values.cpu() if isinstance(values, Tensor) else values, dtype=np.int64)
    return array.reshape(-1)
