"""Segmentation scores from one confusion table, with frequency groups and the worst class beside the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.metrics.confusion import LabelRangeError, confusion_table
from imbdense.core.metrics.confusion_scores import ConfusionScores, confusion_scores
from imbdense.core.metrics.groups import GroupSpec
from imbdense.mm.metrics.dense_sample import field_of, place_of
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS

PER_CLASS = {'IoU': 'iou', 'Dice': 'dice', 'precision': 'precision', 'recall': 'recall'}
MEAN_NAMES = {'IoU': 'mIoU', 'Dice': 'mDice', 'precision': 'mPrecision', 'recall': 'mRecall'}


@METRICS.register_module()
class ConfusionMetric(TableMetric):
    """IoU, Dice, precision, recall per class and per frequency group, from one int64 confusion table.

    All values are in [0, 1]. Returned: ``mIoU, mDice, mPrecision, mRecall, mIoU_harmonic, worst_IoU, std_IoU, fwIoU,
    aAcc``; ``IoU/<class>, Dice/<class>, precision/<class>, recall/<class>``; ``mIoU_<group>`` and the other means per
    group. A class without true pixels is absent: left out of every mean and of the returned values, named in the log.

    Args:
        groups: ``None`` = head/medium/tail thirds by count; or count ranges; or lists of class names.
        class_counts: counts behind the groups: one number per class, a ``class_counts.json``, or ``None`` = the
            training counts of ``ClassCountHook`` if there are any, else the true pixels of the evaluated set.
        count: unit read from counted files and hooks (``'pixels'``, ``'regions'``, ``'images'``).
        ignore_index: label value that is not counted.
        per_image: keep the intersections and unions of every image (sparse) for the report's worst images.
        collect_device, prefix: as in mmengine.

    Artefact: ``kind='confusion'``, ``table`` (C x C, rows = truth), ``per_class``, ``absent``, ``per_image``: a list of
    ``{img_path, seg_map_path, classes, intersect, union, truth}``, where the last four run over the classes that the
    image or its prediction holds.
    """

    card = 'confusion_metric'
    elements = 'pixels'
    """What is counted, in words."""
    tasks = ('segmentation',)

    def __init__(
        self,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        ignore_index: int = 255,
        per_image: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.groups, self.class_counts, self.count_unit = groups, class_counts, count
        self.ignore_index, self.per_image = ignore_index, per_image

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The confusion table of one image and its sparse per-image record."""
        pred, target = self.prediction_and_truth(sample)
        try:
            table = confusion_table(pred, target, len(self.classes), ignore_index=self.ignore_index)
        except LabelRangeError as error:
            raise error.at(place_of(sample)) from None
        except ValueError as error:
            raise ValueError(f'{place_of(sample)}: {error}') from None
        return {'table': as_table(table)}, self._record(sample, table) if self.per_image else None

    def prediction_and_truth(self, sample: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Class indices of a sample, predicted and true, of the same number."""
        owner = type(self).__name__
        return field_of(sample, 'pred_sem_seg', owner), field_of(sample, 'gt_sem_seg', owner)

    def scores(self, table: NDArray[np.int64]) -> ConfusionScores:
        """Scores of the summed table."""
        return confusion_scores(table)

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores of the summed table."""
        table, classes = tally.tables['table'], self.classes
        scores = self.scores(table)
        groups, counts = resolve_groups(
            self.groups, self.class_counts, self.count_unit, classes, scores.truth,
            f'true {self.elements} of the evaluated set',
        )
        per_class = {name: getattr(scores, field) for name, field in PER_CLASS.items()}
        scalars = scores.means()
        for name, values in per_class.items():
            scalars |= {f'{MEAN_NAMES[name]}_{group}': mean for group, mean in groups.means(values).items()}
        for name, values in per_class.items():
            scalars |= {f'{name}/{label}': float(value) for label, value in zip(classes, values)}
        self.artifact = jsonable(
            artifact_head('confusion', classes, counts, groups, scalars)
            | {'table': table, 'per_class': per_class, 'absent': scores.absent, 'per_image': tally.records}
        )
        self._log(scores, classes, group_notes(groups, classes, scores.absent), groups.means(scores.iou))
        return scalars

    def _record(self, sample: Mapping[str, Any], table: NDArray[np.int64]) -> dict[str, Any]:
        """Sparse intersections and unions of one image."""
        hit, truth, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        held = np.flatnonzero(truth + predicted)
        union = truth + predicted - hit
        return {
            'img_path': place_of(sample),
            'seg_map_path': str(sample.get('seg_map_path') or ''),
            'classes': held.tolist(),
            'intersect': hit[held].tolist(),
            'union': union[held].tolist(),
            'truth': truth[held].tolist(),
        }

    def _log(self, scores: ConfusionScores, classes: list[str], notes: list[str], by_group: dict[str, float]) -> None:
        """One table, rarest class last, and the aggregates under it."""
        order = np.argsort(-scores.truth, kind='stable')
        rows = [
            (classes[i], scores.truth[i], scores.iou[i], scores.dice[i], scores.precision[i], scores.recall[i])
            for i in order
        ]
        means = scores.means()
        worst = '' if scores.worst_class is None else f' ({classes[scores.worst_class]})'
        line = ', '.join(f'mIoU_{name} {value:.4f}' for name, value in by_group.items())
        notes = [
            f'mIoU {means["mIoU"]:.4f}, {line}, harmonic {means["mIoU_harmonic"]:.4f}, '
            f'worst {means["worst_IoU"]:.4f}{worst}, aAcc {means["aAcc"]:.4f}',
            *notes,
        ]
        log_table('Per class', ('class', f'true {self.elements}', 'IoU', 'Dice', 'precision', 'recall'), rows, notes)
