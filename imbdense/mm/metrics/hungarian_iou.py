"""Scores of clusters after the best matching with classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.matching import match_clusters
from imbdense.core.metrics.confusion import LabelRangeError
from imbdense.core.metrics.groups import GroupSpec
from imbdense.core.metrics.hungarian_iou import ClusterScores, cluster_scores, normalized_mutual_information
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally
from imbdense.registry import METRICS


@METRICS.register_module()
class HungarianIoU(TableMetric):
    """IoU of predicted clusters, matched one to one with the classes so that most positions are right.

    Returned, in [0, 1]: ``oAcc`` (matched / all), ``mAcc`` (mean recall), ``mIoU``, ``IoU/<class>``,
    ``recall/<class>``, ``mIoU_<group>``; ``NMI``; and with every cluster named by its commonest class
    ``mIoU_many_to_one``, ``oAcc_many_to_one``. A class without truth is left out of every mean. With more clusters
    than classes some are in no class: their positions are missed; with fewer, some classes score 0.

    Args:
        num_clusters: K; ``None`` = as many as classes.
        many_to_one: the main scores by the commonest class instead (over-clustering).
        groups, class_counts, count: as in :class:`imbdense.ConfusionMetric`.
        ignore_index: truth that is not counted: -1 for points, 255 for images.
        collect_device, prefix: as in mmengine.

    State: one int64 table (C, K), summed over ranks once. Artefact: ``kind='clusters'``, ``table``, ``owner`` (class of
    each cluster), ``per_class``.
    """

    card = 'pointdc'
    tasks = ('points', 'segmentation')
    conformance_arguments = {'ignore_index': 255}

    def __init__(
        self,
        num_clusters: int | None = None,
        many_to_one: bool = False,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        ignore_index: int = -1,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if num_clusters is not None:
            check_integer('num_clusters', num_clusters, low=1, owner='HungarianIoU')
        self.num_clusters, self.many_to_one = num_clusters, bool(many_to_one)
        self.groups, self.class_counts, self.count_unit = groups, class_counts, count
        self.ignore_index = ignore_index

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The (C, K) table of one sample."""
        pred, truth = _labels(sample, 'pred'), _labels(sample, 'gt')
        place = str(sample.get('points_path') or sample.get('img_path') or 'an unnamed sample')
        if pred.numel() != truth.numel():
            raise ValueError(f'{place}: {pred.numel()} predictions but {truth.numel()} labels.')
        counted = truth != self.ignore_index
        pred, truth = pred[counted].long(), truth[counted].long()
        classes, clusters = len(self.classes), self.num_clusters or len(self.classes)
        for what, values, limit in (('target', truth, classes), ('pred', pred, clusters)):
            wrong = values[(values < 0) | (values >= limit)]
            if len(wrong):
                raise LabelRangeError(what, torch.unique(wrong)[:10].tolist(), limit, self.ignore_index, place)
        table = torch.bincount(truth * clusters + pred, minlength=classes * clusters).view(classes, clusters)
        return {'table': table.cpu()}, None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Match, then score."""
        table, classes = tally.tables['table'], self.classes
        one = cluster_scores(table, match_clusters(table))
        many = cluster_scores(table, match_clusters(table, many_to_one=True))
        scores = many if self.many_to_one else one
        groups, counts = resolve_groups(self.groups, self.class_counts, self.count_unit, classes, scores.truth,
                                        'true elements of the evaluated set')  # fmt: skip
        scalars = {
            'mIoU': scores.mean_iou, 'oAcc': scores.accuracy, 'mAcc': scores.mean_recall,
            'NMI': normalized_mutual_information(table), 'mIoU_many_to_one': many.mean_iou,
            'oAcc_many_to_one': many.accuracy,
        }  # fmt: skip
        scalars |= {f'mIoU_{group}': mean for group, mean in groups.means(scores.iou).items()}
        for name, values in (('IoU', scores.iou), ('recall', scores.recall)):
            scalars |= {f'{name}/{label}': float(value) for label, value in zip(classes, values)}
        absent = np.flatnonzero(scores.truth == 0).tolist()
        self.artifact = jsonable(
            artifact_head('clusters', classes, counts, groups, scalars)
            | {'table': table, 'owner': scores.owner, 'per_class': {'IoU': scores.iou, 'recall': scores.recall},
               'absent': absent}
        )  # fmt: skip
        self._log(scores, scalars, group_notes(groups, classes, absent))
        return scalars

    def _log(self, scores: ClusterScores, scalars: Mapping[str, float], notes: list[str]) -> None:
        """Classes, rarest last, with their clusters."""
        order = np.argsort(-scores.truth, kind='stable')
        rows = [(self.classes[i], scores.truth[i], ' '.join(map(str, np.flatnonzero(scores.owner == i))) or '-',
                 scores.iou[i], scores.recall[i]) for i in order]  # fmt: skip
        line = ', '.join(f'{name} {value:.4f}' for name, value in scalars.items() if '/' not in name)
        log_table('Clusters', ('class', 'true elements', 'cluster', 'IoU', 'recall'), rows, [line, *notes])


def _labels(sample: Mapping[str, Any], side: str) -> Tensor:
    """(N,) labels of points or pixels."""
    for field, inner in ((f'{side}_pts_seg', 'semantic'), (f'{side}_sem_seg', 'data')):
        found = (sample.get(field) or {}).get(inner)
        if found is not None:
            labels: Tensor = found
            return labels.reshape(-1)
    place = sample.get('points_path') or sample.get('img_path') or 'an unnamed sample'
    raise KeyError(f"HungarianIoU: the sample of {place} has neither {side}_pts_seg.semantic nor {side}_sem_seg.")
