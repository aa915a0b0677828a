"""One COCO evaluation in memory: any COCO json in, precision and recall tables out, from the fastest engine present."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AREAS = ('all', 's', 'm', 'l')
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class CocoTables:
    """COCO's result tables; -1 marks "no ground truth". T = 10 IoU thresholds, R = 101 recall points, A = 4 sizes.

    Attributes:
        precision: (T, R, K, A, M). recall: (T, K, A, M). Axis K follows the order of ``categories`` given.
        engine: ``'faster_coco_eval'`` or ``'pycocotools'``.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    engine: str


def evaluate_coco(
    ground_truth: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    categories: Sequence[int],
    *,
    iou_type: str = 'bbox',
    max_dets: int = 100,
    engine: str | None = None,
) -> CocoTables:
    """Run COCO's evaluation for the category ids ``categories``.

    Args:
        ground_truth: of :func:`imbdense.mm.metrics.coco_records.clean_ground_truth`.
        detections: dicts with ``image_id, category_id, score, bbox`` (x, y, w, h) and, for ``'segm'``,
            ``segmentation`` (RLE).
        max_dets: detections kept per image and category.
        engine: ``None`` = ``faster_coco_eval`` where it is installed, else ``pycocotools``. Equal numbers.
    """
    engine = engine or ('faster_coco_eval' if importlib.util.find_spec('faster_coco_eval') else 'pycocotools')
    if engine == 'faster_coco_eval':
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluation
        from faster_coco_eval.core import mask as masks
    else:
        from pycocotools import mask as masks
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluation

    filled = [_fill(detection, number, iou_type, masks) for number, detection in enumerate(detections, start=1)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = ground_truth
        found.dataset = {**ground_truth, 'annotations': filled}
        truth.createIndex()
        found.createIndex()
        run = Evaluation(truth, found, iou_type)
        run.params.catIds = sorted(categories)
        run.params.imgIds = sorted(image['id'] for image in ground_truth['images'])
        run.params.maxDets = [1, 10, max_dets]
        run.params.iouThrs = IOU_THRESHOLDS
        run.evaluate()
        run.accumulate()
    place = [sorted(categories).index(category) for category in categories]
    precision = np.asarray(run.eval['precision'], dtype=np.float64)[:, :, place]
    recall = np.asarray(run.eval['recall'], dtype=np.float64)[:, place]
    return CocoTables(precision, recall, engine)


def _fill(detection: Mapping[str, Any], number: int, iou_type: str, masks: Any) -> dict[str, Any]:
    """A detection as the engines want an annotation; the size class of a mask comes from the mask, not the box."""
    new = dict(detection)
    new.update(id=number, iscrowd=0)
    if iou_type == 'segm':
        new['area'] = float(masks.area(detection['segmentation']))
        new.setdefault('bbox', [float(side) for side in masks.toBbox(detection['segmentation'])])
    else:
        x, y, width, height = detection['bbox']
        new['area'] = width * height
        new['segmentation'] = [[x, y, x, y + height, x + width, y + height, x + width, y]]
    return new
