"""What every consistency rule is: from a batch of views to the loss terms of the unlabelled images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses.pseudo_cross_entropy import NORMS, pseudo_cross_entropy
from imbdense.core.pseudo_label import PseudoLabels
from imbdense.core.views import cutmix_masks, paste

IGNORE = 255


@dataclass(frozen=True)
class SemiBatch:
    """One training batch, preprocessed.

    Attributes:
        sup_images: (L, C, H, W) labelled images; ``sup_samples``: their data samples.
        weak: (U, C, h, w) weak views; ``strong``: the strong views, each like ``weak``.
        valid: (U, h, w) bool, False where a view is padding.
        indices: (U,) which images of the unlabelled set these are; ``None`` = unknown.
        weight: (U,) float32 >= 0, how much each unlabelled image counts; ``None`` = all alike.
    """

    sup_images: Tensor
    sup_samples: list[Any]
    weak: Tensor
    strong: tuple[Tensor, ...]
    valid: Tensor
    indices: Tensor | None = None
    weight: Tensor | None = None

    def weighed(self, pseudo: PseudoLabels) -> PseudoLabels:
        """Pseudo-labels of the unlabelled images with the pixels of each times the weight of the image."""
        if self.weight is None:
            return pseudo
        return pseudo._replace(weight=pseudo.weight * self.weight.view(-1, 1, 1))

    def counted(self) -> Tensor:
        """(U, h, w) bool: the valid pixels of the images with a weight above 0."""
        return self.valid if self.weight is None else self.valid & (self.weight > 0).view(-1, 1, 1)


@dataclass(frozen=True)
class ConsistencyResult:
    """Loss terms by name (each contains 'loss', the same ones in every batch and on every rank), and the pseudo-labels
    they rest on, for the statistics."""

    terms: dict[str, Tensor]
    pseudo: PseudoLabels


class Consistency(nn.Module, ABC):
    """Base of the consistency rules of ``imbdense.SemiSegmentor``.

    Attributes:
        teachers: the values of ``teacher`` it can work with, its default first.
        weights: default (sup_weight, unsup_weight).
        rule: default config of the pseudo-label rule.
        strong_views: fewest strong views it needs.

    Args:
        norm: what the pseudo cross-entropy is divided by, see
            :func:`imbdense.core.losses.pseudo_cross_entropy`.
        cutmix: chance that an image gets a rectangle of the next unlabelled image of the batch.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation',)
    teachers: ClassVar[tuple[str, ...]] = ('ema', 'self')
    weights: ClassVar[tuple[float, float]] = (1.0, 1.0)
    rule: ClassVar[dict[str, Any]] = {'type': 'imbdense.FixedThreshold', 'threshold': 0.95}
    strong_views: ClassVar[int] = 1

    def __init__(self, norm: str = 'all', cutmix: float = 0.5) -> None:
        super().__init__()
        owner = type(self).__name__
        self.norm = check_choice('norm', norm, NORMS, owner=owner)
        self.cutmix = check_number('cutmix', cutmix, low=0.0, high=1.0, owner=owner)

    def prepare(self, model: Any) -> None:
        """Look at the finished ``SemiSegmentor``; called once. Rules with parameters of their own make them here."""

    @abstractmethod
    def forward(self, model: Any, batch: SemiBatch) -> ConsistencyResult:
        """The unweighted terms of a batch; ``model`` gives logits, labels and networks."""

    def draw_masks(self, image: Tensor) -> Tensor | None:
        """CutMix rectangles for a batch of images, (N, H, W) bool; ``None`` when there is nothing to mix."""
        count, _, height, width = image.shape
        if self.cutmix == 0 or count < 2:
            return None
        return cutmix_masks(count, height, width, probability=self.cutmix, device=image.device)

    def cross_entropy(self, logits: Tensor, pseudo: PseudoLabels, valid: Tensor) -> Tensor:
        """The pseudo cross-entropy with this rule's norm."""
        return pseudo_cross_entropy(
            logits, pseudo.label, weight=pseudo.weight, valid=valid, norm=self.norm, ignore_index=IGNORE
        )

    def strong_terms(self, model: Any, batch: SemiBatch, pseudo: PseudoLabels) -> dict[str, Tensor]:
        """``loss_strong``, the mean over the strong views, and the terms of the pseudo-label rule itself."""
        values, extra = [], {}
        for image in batch.strong:
            mask = self.draw_masks(image)
            target = mixed_labels(pseudo, mask)
            logits = model.logits(model.student, mixed(image, mask))
            values.append(self.cross_entropy(logits, target, mixed(batch.valid, mask)))
            extra = extra or model.pseudo.extra_losses(logits, target)
        return {'loss_strong': torch.stack(values).mean(), **extra}


def mixed(values: Tensor, mask: Tensor | None) -> Tensor:
    """``values`` of a batch with the next item of the batch where ``mask`` says so."""
    return values if mask is None else paste(values, values.roll(1, 0), mask)


def mixed_labels(pseudo: PseudoLabels, mask: Tensor | None) -> PseudoLabels:
    """The same for labels and their weights."""
    return PseudoLabels(mixed(pseudo.label, mask), mixed(pseudo.weight, mask), pseudo.accepted)
