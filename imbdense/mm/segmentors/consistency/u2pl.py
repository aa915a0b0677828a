"""Consistency rule: U2PL, which also learns from the unreliable pixels."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.losses.memory_contrast import ContrastPixels, memory_contrast_loss
from imbdense.core.pseudo_label import PseudoLabels
from imbdense.core.pseudo_label.entropy_percentile import entropy, masked_percentile
from imbdense.core.stats import ClassQueue
from imbdense.mm.segmentors.consistency.base import (
    IGNORE,
    Consistency,
    ConsistencyResult,
    SemiBatch,
    mixed,
    mixed_labels,
)
from imbdense.registry import MODELS


@MODELS.register_module()
class U2PLConsistency(Consistency):
    """U2PL: cross-entropy on pixels of low entropy, and a contrast that uses the others as negatives.

    The unsupervised term is the mean cross-entropy over the kept pixels times (all pixels) / (kept ones), which are
    those below the 80th percentile of the teacher's entropy at the beginning and all at the end
    (``imbdense.EntropyPercentile``). For the contrast see :func:`imbdense.core.losses.memory_contrast_loss`; its
    anchors come from the pixels of lowest entropy and its negatives from those of highest, ``unreliable`` percent each,
    falling linearly to 0; labelled pixels are both. Features are what enters the classifier (``conv_seg``) of the
    head, behind a projection whose teacher follows as a moving average too.

    The student sees the strong view, or the weak one if the pipeline makes none (the paper), after CutMix.

    Args:
        contrast: weight of the contrast relative to the unsupervised term; 0 = without it. The paper: .1; the released
            configs leave it at 1.
        dim: channels of the projection.
        bank_size: vectors per class in the memory. The paper keeps 30000; with D = 256 that is 31 MB per class.
        anchors, negatives, temperature, confidence: see ``memory_contrast_loss``.
        ranks: see ``memory_contrast_loss``. With two or three classes no class has rank 3, so no unlabelled pixel is a
            negative (a warning); the authors advise (1, 20) there.
        unreliable: percent of the unlabelled pixels at the beginning that are anchors, and that are negatives.
        cutmix: chance of CutMix per image.

    Raises:
        TypeError: the head has no ``conv_seg`` to take features from.

    Source: Wang et al., Semi-supervised semantic segmentation using unreliable pseudo-labels, CVPR 2022.
    """

    teachers = ('ema',)
    rule = {'type': 'imbdense.EntropyPercentile', 'start': 80.0, 'end': 100.0}
    strong_views = 0

    def __init__(
        self,
        contrast: float = 0.1,
        dim: int = 256,
        bank_size: int = 2048,
        anchors: int = 256,
        negatives: int = 50,
        temperature: float = 0.5,
        confidence: float = 0.3,
        ranks: tuple[int, int] = (3, 20),
        unreliable: float = 20.0,
        cutmix: float = 0.5,
    ) -> None:
        super().__init__('kept', cutmix)
        owner = type(self).__name__
        self.contrast = check_number('contrast', contrast, low=0.0, owner=owner)
        self.dim = check_integer('dim', dim, low=1, owner=owner)
        self.bank_size = check_integer('bank_size', bank_size, low=1, owner=owner)
        self.unreliable = check_number('unreliable', unreliable, low=0.0, high=50.0, owner=owner)
        self.options = {
            'anchors': check_integer('anchors', anchors, low=1, owner=owner),
            'negatives': check_integer('negatives', negatives, low=1, owner=owner),
            'temperature': check_number('temperature', temperature, low=0.0, low_open=True, owner=owner),
            'confidence': check_number('confidence', confidence, low=0.0, high=1.0, owner=owner),
        }
        low, high = (check_integer('ranks', rank, low=0, owner=owner) for rank in ranks)
        if low >= high:
            raise ValueError(f'{owner}: ranks must be (low, high) with low < high, but are {tuple(ranks)}.')
        self.ranks = low, high
        self._seen: dict[nn.Module, Tensor] = {}

    def prepare(self, model: Any) -> None:
        """Make projection and memory, and listen to the classifiers of both networks."""
        if self.contrast == 0:
            return
        for network in (model.student, model.teacher):
            classifier = getattr(network.decode_head, 'conv_seg', None)
            if not isinstance(classifier, nn.Module):
                raise TypeError(
                    f'U2PLConsistency: {type(network.decode_head).__name__} has no conv_seg, whose input the contrast '
                    f'would use. Take another head, or set contrast=0.'
                )
            classifier.register_forward_pre_hook(lambda _, inputs, owner=network: self._seen.update({owner: inputs[0]}))
        if self.ranks[0] >= model.num_classes:
            warnings.warn(
                f'U2PLConsistency: with {model.num_classes} classes none has rank {self.ranks[0]}, so unlabelled '
                f'pixels are never negatives of the contrast. Set ranks=(1, 20), as its authors advise.',
                stacklevel=2,
            )
        self.projection = ProjectionPair(model.student.decode_head.conv_seg.in_channels, self.dim)
        self.bank = ClassQueue(model.num_classes, self.dim, self.bank_size)

    def forward(self, model: Any, batch: SemiBatch) -> ConsistencyResult:
        """``loss_strong`` and ``loss_contrast``."""
        supervised = self._seen.get(model.student)  # of the labelled images, just seen by the supervised loss
        pseudo = batch.weighed(model.label(*model.teacher_view(batch.weak), batch.valid, batch.indices))
        image = batch.strong[0] if batch.strong else batch.weak
        mask = self.draw_masks(image)
        image, target, valid = mixed(image, mask), mixed_labels(pseudo, mask), mixed(batch.valid, mask)
        logits = model.logits(model.student, image)
        terms = {'loss_strong': self.cross_entropy(logits, target, valid)}
        if self.contrast > 0:
            terms['loss_contrast'] = self.contrast * self._contrast(
                model, batch, supervised, image, target, mixed(batch.counted(), mask)
            )
        self._seen.clear()
        return ConsistencyResult(terms, pseudo)

    def _contrast(
        self,
        model: Any,
        batch: SemiBatch,
        supervised: Tensor | None,
        image: Tensor,
        target: PseudoLabels,
        valid: Tensor,
    ) -> Tensor:
        """The contrast over labelled and mixed images; pixels that are not ``valid`` are no part of it."""
        if supervised is None:
            raise RuntimeError('U2PLConsistency: the head makes no use of its conv_seg in training; set contrast=0.')
        unlabeled = self._seen[model.student]
        real_probs, _ = model.teacher_view(batch.sup_images)
        real_keys = self._seen[model.teacher]
        probs, _ = model.teacher_view(image)
        keys = self._seen[model.teacher]
        truth = torch.stack([sample.gt_sem_seg.data[0] for sample in batch.sup_samples])
        values = entropy(probs)
        percent = self.unreliable * (1.0 - model.progress)
        known = valid & (target.label != IGNORE)
        sure = known & (values <= masked_percentile(values, valid, percent))
        unsure = valid & (values >= masked_percentile(values, valid, 100.0 - percent))
        parts = [
            self._pixels(supervised, real_keys, truth, real_probs, truth != IGNORE, truth != IGNORE, True),
            self._pixels(unlabeled, keys, target.label, probs, sure, unsure, False),
        ]
        joined = ContrastPixels(*(torch.cat(items) for items in zip(*parts)))
        return memory_contrast_loss(joined, self.bank, ranks=self.ranks, **self.options)

    def _pixels(
        self, features: Tensor, keys: Tensor, label: Tensor, probs: Tensor, sure: Tensor, unsure: Tensor, labeled: bool
    ) -> tuple[Tensor, ...]:
        """The fields of :class:`ContrastPixels`, at the size of the features."""
        size = features.shape[-2:]
        anchors = self.projection.student(features).movedim(1, -1).flatten(0, 2)
        with torch.no_grad():
            stored = self.projection.teacher(keys).movedim(1, -1).flatten(0, 2)
        small = F.interpolate(probs, size, mode='bilinear', align_corners=False).movedim(1, -1).flatten(0, 2)
        label, sure, unsure = (
            F.interpolate(item[:, None].float(), size, mode='nearest').flatten() for item in (label, sure, unsure)
        )
        return (
            anchors, stored, label.long(), small, torch.full_like(sure, labeled, dtype=torch.bool), sure > 0, unsure > 0
        )  # fmt: skip


class ProjectionPair(nn.Module):
    """A projection of features, and its moving average for the teacher (``imbdense.EMATeacherHook``)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.student, self.teacher = (
            nn.Sequential(
                nn.Conv2d(channels, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(inplace=True),
                nn.Conv2d(dim, dim, 1),
            )
            for _ in range(2)
        )  # fmt: skip
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> ProjectionPair:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self
