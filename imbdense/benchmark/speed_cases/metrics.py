"""Metrics against mmseg and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close
from imbdense.core.metrics.confusion import confusion_table, count_byte_pairs_torch
from imbdense.core.metrics.ranking import auroc_ap

CLASSES = 19


def _label_maps(scale: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truth of 32-pixel blocks with a tenth ignored, and a prediction that is right in 70 %."""
    rng = np.random.default_rng(0)
    height, width = int(1024 * scale), 2048
    truth = np.kron(rng.integers(0, CLASSES, (height // 32, width // 32)), np.ones((32, 32))).astype(np.uint8)
    pred = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, CLASSES, truth.shape)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = 255
    return pred, truth


def _confusion(scale: float, count: Callable[[Any, Any], Any], dtype: torch.dtype) -> Workload:
    """Against IoUMetric.intersect_and_union, which gets the int64 tensors of a run."""
    from mmseg.evaluation.metrics.iou_metric import IoUMetric

    pred, truth = (torch.from_numpy(values) for values in _label_maps(scale))
    wide_pred, wide_truth = pred.long(), truth.long()
    our_pred, our_truth = pred.to(dtype), truth.to(dtype)

    def check(table: Any, areas: Any) -> str:
        table = np.asarray(table).reshape(-1, *np.shape(table)[-2:]).sum(axis=0)[:CLASSES, :CLASSES]
        intersect, _, pred_area, truth_area = (area.numpy() for area in areas)
        ours = np.stack([np.diag(table), table.sum(0), table.sum(1)])
        if not np.array_equal(ours, np.stack([intersect, pred_area, truth_area])):
            raise Unequal('the per-class areas differ')
        return 'per-class areas equal'

    return Workload(
        lambda: count(our_pred, our_truth),
        lambda: IoUMetric.intersect_and_union(wide_pred, wide_truth, CLASSES, 255),
        check,
    )


def confusion_torch(scale: float) -> Workload:
    """One torch.bincount, as on a GPU or without numba."""
    return _confusion(scale, lambda pred, truth: count_byte_pairs_torch(truth, pred), torch.int64)


def confusion_fast(scale: float) -> Workload:
    """The byte table on uint8 labels."""
    return _confusion(scale, lambda pred, truth: confusion_table(pred, truth, CLASSES), torch.uint8)


def ranking(scale: float) -> Workload:
    """AUROC and AUPRC of 4 M scores, 1 % positives."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    size = int(4_000_000 * scale)
    labels = rng.random(size) < 0.01
    scores = (rng.standard_normal(size) + 1.5 * labels).astype(np.float32)

    def check(ours: dict[str, float], peer: tuple[float, float]) -> str:
        return require_close('AUROC and AP', [ours['auroc'], ours['ap']], peer, 1e-12)

    return Workload(
        lambda: auroc_ap(scores, labels),
        lambda: (roc_auc_score(labels, scores), average_precision_score(labels, scores)),
        check,
    )


CASES = (
    SpeedCase('confusion-torch', 'confusion table, torch, 1024×2048, 19 classes', 'mmseg IoUMetric', 0.11,
              confusion_torch, small=2.0),
    SpeedCase('confusion-fast', 'confusion table, byte labels, 1024×2048, 19 classes', 'mmseg IoUMetric', 0.03,
              confusion_fast, small=2.0, repeats=15),
    SpeedCase('auroc-auprc', 'exact AUROC + AUPRC of 4 M scores', 'scikit-learn, both calls', 0.06, ranking,
              growth=5.5),
)
