"""Whether saved candidates give the detections that the model itself gives: as it is, and calibrated by the hook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference import BoxCandidates, ImageDetections, LogitCalibration, identity_calibration
from imbdense.mm.inference.finished_model import FinishedModel
from imbdense.mm.inference.head_facts import HeadFacts, UnknownHeadError
from imbdense.mm.inference.mask_overlaps import LEAST, masks_with_objects
from imbdense.mm.logit_attachment import attach_logit_map
from imbdense.mm.metrics.coco_matches import compressed

CHECKED_IMAGES = 4
"""Of every process the first images, on which the candidates are compared with the model."""
PROBE = 0.4
"""The calibration that is tried on the model lowers the logit of every second class by this."""


def check_rescoring(
    candidates: BoxCandidates, facts: HeadFacts, predicted: Any, calibration: LogitCalibration | None = None
) -> None:
    """Raise ``UnknownHeadError`` unless the candidates give the detections that the model itself gave.

    Args:
        predicted: the model's own answer, with ``calibration`` in place (``None`` = as it is).
    """
    from imbdense.mm.inference.rescore import finish_detections

    again = finish_detections(candidates, facts, calibration or identity_calibration(facts.num_classes))
    boxes = getattr(predicted.bboxes, 'tensor', predicted.bboxes).cpu().numpy().reshape(-1, 4)
    scores = predicted.scores.cpu().numpy()
    real = scores > 0  # some heads fill up with places of score 0
    own = ImageDetections(boxes[real], predicted.labels.cpu().numpy()[real], scores[real])
    if len(own.scores) == len(again.scores):
        same = np.allclose(np.sort(own.scores), np.sort(again.scores), atol=1e-4)
        if same and np.allclose(_checksum(own), _checksum(again), rtol=1e-3, atol=1e-2):
            return
    how = '' if calibration is None else 'calibrated by the hook, '
    raise UnknownHeadError(
        f'image {candidates.image_id}: {how}the saved candidates give {len(again.scores)} detections, the model itself '
        f'{len(own.scores)}, or others. The head post-processes in a way of its own (or more than 20,000 places per '
        f'image were cut), so nothing can be fitted from saved outputs.'
    )


def check_calibrated(
    candidates: Sequence[BoxCandidates], facts: HeadFacts, finished: FinishedModel, indices: Sequence[int]
) -> None:
    """Run the model on a few images with a calibration attached as ``CalibrationHook`` attaches it, and raise
    ``UnknownHeadError`` unless the candidates give the same: what is fitted on them is then what will be applied."""
    if facts.own_scores:  # for them only thresholds are fitted, which move no logit
        return
    shift = tuple(-PROBE * (index % 2) for index in range(facts.num_classes))
    probe = LogitCalibration('probe', shift)
    removers = attach_logit_map(finished.model, probe, 'calibrate')
    try:
        for one, (_, sample) in zip(candidates, finished.outputs(indices, 0)):
            check_rescoring(one, facts, sample.pred_instances, probe)
    finally:
        for remove in removers:
            remove()


def check_masks(candidates: BoxCandidates, facts: HeadFacts, predicted: Any, truth: Sequence[Any]) -> None:
    """Raise ``UnknownHeadError`` unless the masks of the model cover the objects as the candidates say.

    Args:
        truth: segmentation of each object, polygons or RLE.
    """
    from imbdense.mm.inference.rescore import finish_detections

    again = finish_detections(candidates, facts, identity_calibration(facts.num_classes), masks=True).overlaps
    masks, objects = predicted.masks.cpu().numpy().astype(bool), candidates.objects
    shapes = [compressed(one, masks.shape[1:]) for one in truth]
    own = masks_with_objects(masks, shapes, objects.ignored) if len(masks) and shapes else np.zeros((0, len(shapes)))
    own = np.where(predicted.labels.cpu().numpy()[: len(own), None] == objects.labels[None], own, 0.0)
    gap = np.abs(_above(own) - _above(np.asarray(again)))
    if gap.max(initial=0.0) > 0.01 * max(len(masks), 1):
        raise UnknownHeadError(
            f'image {candidates.image_id}: the masks of the model do not follow from box, class and features alone, so '
            f'its mask AP cannot be calibrated.'
        )


def _above(overlaps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Per object: what the detections overlap it by above the least threshold."""
    return (overlaps.astype(np.float64) - LEAST).clip(min=0).sum(axis=0)


def _checksum(found: ImageDetections) -> NDArray[np.float64]:
    """Per box side: mean over the detections weighted by score; does not depend on the order of equal scores."""
    weights = found.scores.astype(np.float64) * (1 + found.labels)
    return (found.boxes.astype(np.float64) * weights[:, None]).sum(axis=0) / max(float(weights.sum()), 1e-12)
