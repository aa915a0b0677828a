"""What the detection heads of mmdet ask a classification loss: how many channels, which scores, how accurate."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from imbdense.core.losses import objectness_scores
from imbdense.core.reduction import full_precision
from imbdense.mm.losses.base import LossCall


class DetectionScores(ABC):
    """Mixin of the losses whose scores a head must not guess.

    mmdet's box heads ask three flags in different places: the number of channels and the prediction look at
    ``custom_cls_channels``, the training step at ``custom_activation``, FCOS at ``custom_accuracy``. With one missing,
    the head trains one function and predicts with another (softmax of sigmoid logits, for example). So all three are
    set, and every score a head predicts is ``get_activation(logits)``.

    Two kinds of heads call it. Box heads of two-stage detectors first ask :meth:`get_cls_channels`, and want scores
    with the background last. Dense heads never ask, make C channels with ``use_sigmoid=True`` in the config and C + 1
    without, and want the scores of the C classes alone.
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    use_sigmoid: bool
    background: bool | None = None
    """Whether the last channel is background or objectness; ``None`` = what the way of the call tells."""
    roi_classes: int | None = None
    """C, once a box head has asked for its number of channels."""

    def get_cls_channels(self, num_classes: int) -> int:
        """Number of logits per box for C classes; called by box heads while they are built."""
        self.roi_classes = num_classes
        return self.roi_channels(num_classes)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores of the logits (R, channels): (R, C + 1) with the background last in a box head, else (R, C)."""
        scores, background = self.class_scores(full_precision(cls_score))
        if self.roi_classes is None:
            return scores.to(cls_score.dtype)
        if background is None:
            background = 1 - scores.amax(-1, keepdim=True)
        return torch.cat([scores, background], -1).to(cls_score.dtype)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Percent of correct highest scores: of all regions in a box head, of the objects alone in a dense head."""
        scores = self.get_activation(cls_score.detach())
        among = labels >= 0 if self.roi_classes is not None else (labels >= 0) & (labels < scores.shape[-1])
        return {'acc': percent(scores.argmax(-1) == labels, among)}

    def object_classes(self, pred: Tensor, call: LossCall) -> int:
        """C of the logits ``pred``: all channels, or all but a background or objectness channel at the end."""
        if self.roi_classes is not None:
            return self.roi_classes
        return pred.shape[1] - int(self.from_detector(call) and not self.use_sigmoid)

    def from_detector(self, call: LossCall) -> bool:
        """Whether a label beyond the classes means background."""
        if self.background is not None:
            return self.background
        return self.roi_classes is not None or call.from_detection_head

    @abstractmethod
    def roi_channels(self, num_classes: int) -> int:
        """Number of logits per box that this loss needs in a box head."""

    @abstractmethod
    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """(scores (R, C), background score (R, 1) or ``None``) of logits of a detection head."""


class SigmoidScores(DetectionScores):
    """Losses that train one sigmoid per channel, whatever ``use_sigmoid`` tells the head."""

    def start_logits(self, log_odds: Tensor, counts: Tensor, background: float) -> Tensor:
        """Logits with which the trained sigmoids have these log odds, (K,) float64; here the odds themselves.

        Args:
            log_odds: (K,) float64, K = C or C + 1.
            counts: (C,) samples of the classes, where the loss knows none of its own; background: theirs.
        """
        return log_odds


class ObjectnessScores(SigmoidScores):
    """Sigmoid losses with an objectness channel after the classes: score sigma(z_c) (1 - sigma(z_C)).

    Dense heads with ``use_sigmoid=True`` in the config have C channels and no objectness: score sigma(z_c). So have
    segmentation heads, points and volumes.
    """

    def roi_channels(self, num_classes: int) -> int:
        """C + 1, the objectness channel last."""
        return num_classes + 1

    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores as trained."""
        if self.roi_classes is None and self.use_sigmoid:
            return logits.sigmoid(), None
        scores = objectness_scores(logits)
        return scores[..., :-1], scores[..., -1:]


def percent(hit: Tensor, among: Tensor) -> Tensor:
    """100 * share of ``hit`` among ``among`` (bool each); 0 when there is none. Reads nothing back."""
    return 100.0 * (hit & among).sum() / among.sum().clamp_min(1)
