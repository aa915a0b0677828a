"""``imbdense.KittiAPMetric``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.boxes3d import bev_iou, iou_3d
from imbdense.core.checks import check_number
from imbdense.core.metrics.box_ap import box_ap
from imbdense.core.metrics.kitti_ap import DIFFICULTIES, MIN_HEIGHT, KittiFrame, kitti_ap
from imbdense.data.boxes3d import image_boxes, read_calib
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally
from imbdense.registry import METRICS

SPACES = {'bev': bev_iou, '3d': iou_3d}
VEHICLES = ('car', 'van', 'truck', 'bus', 'vehicle')
"""Classes for which KITTI wants an overlap of .7; others need .5."""


@METRICS.register_module()
class KittiAPMetric(TableMetric):
    """Average precision of boxes in space as KITTI computes it, and plain AP and recall at IoU thresholds.

    KITTI, for each class, seen from above (``bev``) and in space (``3d``), by difficulty: ``bev_r40_moderate/Car``, and
    its mean over classes ``bev_r40_moderate``; R11 with ``r11=True``. Plain, all objects that are not ignored, no
    matter how small (a detection on an ignored one is left out): ``bev_ap50/Car``, ``bev_recall50/Car`` and the means
    ``bev_ap50``, ``bev_recall50`` for every threshold of ``iou_thrs``. All in [0, 1]; a class without an object is left
    out of the means and the result.

    A detection whose box in the image is lower than 40, 25, 25 pixels counts neither way at that difficulty; scenes
    without ``calib_path`` have no image, and all count. Objects need ``difficulty``, as from
    :class:`~imbdense.mm.datasets.KittiBoxDataset`.

    Across ranks: what is needed of the scenes (overlaps, scores) is gathered once, so the result does not depend on
    ranks or batches. Memory: about 16 bytes per detection and object of a scene.

    Args:
        min_overlaps: of each class for KITTI's AP; ``None`` = .7 for vehicles, .5 for the rest.
        iou_thrs: of the plain AP. r11: also the older 11 recall points.
        collect_device, prefix: as in mmengine.
    """

    card = 'kitti_ap'
    tasks = ('detection_3d',)
    default_prefix = 'boxes_3d'

    def __init__(
        self,
        min_overlaps: Sequence[float] | None = None,
        iou_thrs: Sequence[float] = (0.5,),
        r11: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        owner = 'KittiAPMetric'
        self.min_overlaps = None if min_overlaps is None else [
            check_number('min_overlaps', value, low=0.0, high=1.0, owner=owner) for value in min_overlaps]
        self.iou_thrs = [check_number('iou_thrs', value, low=0.0, high=1.0, low_open=True, owner=owner)
                         for value in iou_thrs]
        self.r11 = bool(r11)

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """No table; the record holds the overlaps of a scene."""
        found, gt, ignored = (sample[key] for key in ('pred_instances_3d', 'gt_instances_3d', 'ignored_instances_3d'))
        boxes = found['boxes'].detach().cpu()
        order = _file_order(sample, len(gt['boxes']) + len(ignored['boxes']))
        objects = torch.cat([gt['boxes'], ignored['boxes']]).cpu()[order]
        record = {
            'scores': _array(found['scores']), 'labels': _array(found['labels']), 'heights': _heights(boxes, sample),
            'gt_labels': np.concatenate([_array(gt['labels']), _array(ignored['labels'])])[order],
            'difficulty': np.concatenate([_array(gt['difficulty']), _array(ignored['difficulty'])])[order],
            'ignored': order >= len(gt['boxes']),
            **{space: iou(boxes, objects).numpy() for space, iou in SPACES.items()},
        }  # fmt: skip
        return {}, record

    def summarize(self, tally: Tally) -> dict[str, float]:
        """All values; the artefact holds them as tables."""
        limits = self._limits()
        scalars: dict[str, float] = {}
        counts = np.zeros(len(self.classes), np.int64)
        for record in tally.records:
            counts += np.bincount(record['gt_labels'][~record['ignored']], minlength=len(self.classes))
        for space in SPACES:
            for label, name in enumerate(self.classes):
                for level, difficulty in enumerate(DIFFICULTIES):
                    ap = kitti_ap([_kitti(record, space, label, level) for record in tally.records], limits[label])
                    scalars[f'{space}_r40_{difficulty}/{name}'] = ap.r40
                    if self.r11:
                        scalars[f'{space}_r11_{difficulty}/{name}'] = ap.r11
                for threshold in self.iou_thrs:
                    plain = box_ap([_plain(record, space, label, threshold) for record in tally.records], threshold)
                    scalars[f'{space}_ap{round(100 * threshold)}/{name}'] = plain.ap
                    scalars[f'{space}_recall{round(100 * threshold)}/{name}'] = plain.recall
        scalars.update(self._means(scalars))
        self._show(scalars, counts)
        self.artifact = {
            'kind': 'boxes_3d', 'classes': list(self.classes), 'counts': counts.tolist(), 'min_overlaps': limits,
            'scalars': jsonable(scalars),
        }  # fmt: skip
        return scalars

    def _limits(self) -> list[float]:
        """Overlap that each class needs."""
        if self.min_overlaps is None:
            return [0.7 if name.lower() in VEHICLES else 0.5 for name in self.classes]
        if len(self.min_overlaps) != len(self.classes):
            raise ValueError(
                f'KittiAPMetric: min_overlaps has {len(self.min_overlaps)} numbers for {len(self.classes)} classes.'
            )
        return self.min_overlaps

    def _means(self, scalars: Mapping[str, float]) -> dict[str, float]:
        """Means over the classes that have objects."""
        rows: dict[str, list[float]] = {}
        for key, value in scalars.items():
            rows.setdefault(key.split('/')[0], []).append(value)
        return {key: float(np.nanmean(values)) for key, values in rows.items() if not np.isnan(values).all()}

    def _show(self, scalars: Mapping[str, float], counts: NDArray[np.int64]) -> None:
        """A table in the log."""
        columns = [f'{space}_r40_{level}' for space in SPACES for level in DIFFICULTIES]
        columns += [f'bev_{kind}{round(100 * self.iou_thrs[0])}' for kind in ('ap', 'recall') if self.iou_thrs]
        rows = [[name, int(count), *(scalars[f'{column}/{name}'] for column in columns)]
                for name, count in zip(self.classes, counts)]
        log_table('Boxes in space', ['class', 'objects', *columns], rows)


def _kitti(record: Mapping[str, Any], space: str, label: int, level: int) -> KittiFrame:
    """What KITTI looks at for one class and difficulty; small detections of other classes take part as ignored."""
    small = record['heights'] < MIN_HEIGHT[level]
    detections, objects = (record['labels'] == label) | small, record['gt_labels'] == label
    harder = (record['difficulty'] > level) | record['ignored']
    return KittiFrame(
        record[space][detections][:, objects], record['scores'][detections], small[detections], harder[objects]
    )


def _plain(
    record: Mapping[str, Any], space: str, label: int, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Overlaps and scores of one class, without ignored objects and the detections that lie on those alone."""
    own = record['gt_labels'] == label
    counted, ignored = own & ~record['ignored'], own & record['ignored']
    near = record[space] >= threshold
    harmless = near[:, ignored].any(axis=1) & ~near[:, counted].any(axis=1)
    detections = (record['labels'] == label) & ~harmless
    return record[space][detections][:, counted], record['scores'][detections]


def _file_order(sample: Mapping[str, Any], count: int) -> NDArray[np.int64]:
    """(count,) positions of the objects, counted ones before ignored ones, in the order of the file: KITTI's matching
    depends on it. As they are where the sample does not tell."""
    ignored = sample.get('gt_ignored')
    return np.arange(count) if ignored is None else np.argsort(np.argsort(ignored, kind='stable'))


def _heights(boxes: Tensor, sample: Mapping[str, Any]) -> NDArray[np.float64]:
    """Height in the image of every detection in pixels; infinite where there is no image."""
    if not sample.get('calib_path') or len(boxes) == 0:
        return np.full(len(boxes), np.inf)
    own = boxes.double().numpy()
    own[:, 2] -= float(sample.get('lift', 0.0))
    pixels = image_boxes(own, read_calib(sample['calib_path']))
    return np.asarray(pixels[:, 3] - pixels[:, 1])


def _array(values: Tensor) -> NDArray[Any]:
    """A numpy array of a tensor on any device."""
    return values.detach().cpu().numpy()
