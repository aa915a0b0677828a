"""The parts of a data sample that the report looks at: label masks, or boxes of truth and prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = tuple[str, NDArray[Any], NDArray[Any]]
Boxes = tuple[str, tuple[int, int], NDArray[Any], NDArray[Any], NDArray[Any]]


def sample_labels(sample: Any) -> Labels | None:
    """(path, truth (H, W), prediction (H, W)) of a segmentation sample; ``None`` for others or without truth."""
    pred, truth = getattr(sample, 'pred_sem_seg', None), getattr(sample, 'gt_sem_seg', None)
    if pred is None or truth is None:
        return None
    found, wanted = _mask(pred.data), _mask(truth.data)
    if found.ndim != 2 or found.shape != wanted.shape:
        return None
    return str(sample.metainfo.get('img_path', '')), wanted, found


def sample_boxes(sample: Any, dataset: Any, index: dict[str, int], num_classes: int) -> Boxes | None:
    """(path, shape, truth rows, predicted rows, scores) of a detection sample; ``None`` for others.

    The truth is taken from the data set (original pixels, also when the pipeline loads no annotations); crowd regions
    are left out. Predictions are in original pixels already.
    """
    pred = getattr(sample, 'pred_instances', None)
    path = str(sample.metainfo.get('img_path', ''))
    if pred is None or 'bboxes' not in pred or path not in index:
        return None
    rows = [
        [*instance['bbox'], instance['bbox_label']]
        for instance in dataset.get_data_info(index[path]).get('instances', ())
        if not instance.get('ignore_flag', 0) and 0 <= instance['bbox_label'] < num_classes
    ]
    boxes = getattr(pred.bboxes, 'tensor', pred.bboxes).detach().cpu().float().numpy().reshape(-1, 4)
    labels = pred.labels.detach().cpu().numpy()
    shape = sample.metainfo.get('ori_shape') or (int(boxes[:, 3].max(initial=1)), int(boxes[:, 2].max(initial=1)))
    truth = np.asarray(rows, dtype=np.float64).reshape(-1, 5)
    found = np.column_stack([boxes.astype(np.float64), labels])
    return path, (int(shape[0]), int(shape[1])), truth, found, pred.scores.detach().cpu().float().numpy()


def _mask(data: Any) -> NDArray[Any]:
    """A label tensor (1, H, W) or (H, W) as array (H, W)."""
    array: NDArray[Any] = data.detach().cpu().numpy()
    return array[0] if array.ndim == 3 and array.shape[0] == 1 else array
