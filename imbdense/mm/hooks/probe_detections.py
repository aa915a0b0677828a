"""Loss, score and recall per class of a detector's class head on a fixed list of images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.inference import ImageObjects
from imbdense.mm.hooks.probe_scores import ProbeCurves, curves_of
from imbdense.mm.inference.head_facts import find_head, gives_probabilities
from imbdense.mm.reproducible import seeded_generators

FLOOR = 1e-12
CLASS_LOSSES = ('loss_cls', 'initial_loss_cls')
"""Attributes of heads that hold a class loss; TOOD begins with the second."""


class DetectionProbe:
    """Loaded images with objects, and a measurement on the samples (anchors, points, RoIs, queries) of the objects.

    The model computes its loss in evaluation mode, and what it hands to ``loss_cls`` of its class head is read: the
    samples that its own assigner gives to each class. Objects come from the annotations, in the scale of the image
    as the validation pipeline leaves it. Of a cascade the last stage counts, of query heads every decoder layer
    (of DINO also its denoising queries).
    Mask heads are left out. Samplers draw the same RoIs at every measurement, and no state of training is touched.

    Args:
        samples: what the data set yields, one per image. objects: its annotated objects in pixels of the file.
        classes: class names.

    Attributes:
        images: their number. counted: (C,) samples per class of the last measurement. unit: what they are.
    """

    unit = 'samples'

    def __init__(self, samples: Sequence[Any], objects: Sequence[ImageObjects], classes: tuple[str, ...]) -> None:
        self.batches = [pseudo_collate([_with_objects(*pair)]) for pair in zip(samples, objects, strict=True)]
        self.classes, self.images = classes, len(samples)
        self.counted: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    @torch.no_grad()
    def measure(self, model: Any) -> ProbeCurves:
        """Per class over its samples: mean cross-entropy (of sigmoid heads the sum over the classes), mean score of the
        class, and recall: how many score best in it (of sigmoid heads among the classes, else the background too).

        Raises:
            ValueError: the head has other classes, or no ``loss_cls`` that is given samples with labels.
        """
        head, facts = find_head(model)
        if facts.num_classes != len(self.classes) or not isinstance(getattr(head, 'loss_cls', None), nn.Module):
            raise ValueError(
                f'ProgressHook: {type(head).__name__} must have a loss_cls and the {len(self.classes)} classes of the '
                f'data set, but has {facts.num_classes} classes and loss_cls={getattr(head, "loss_cls", None)!r}.'
            )
        training = {module: module.training for module in model.modules()}
        listener = _LossListener(head, len(self.classes))
        model.eval()
        # These two have no loss otherwise: DINO without denoising queries, VFNet without its first boxes.
        model.training = hasattr(model, 'dn_query_generator')
        head.training = any(cls.__name__ == 'VFNetHead' for cls in type(head).__mro__)
        try:
            with _in_place(model, head, listener), torch.random.fork_rng():
                for number, batch in enumerate(self.batches):
                    with seeded_generators(number):
                        model(**model.data_preprocessor(batch, False), mode='loss')
        finally:
            for module, mode in training.items():
                module.training = mode
        if not listener.called:
            raise ValueError(f'ProgressHook: the loss of {type(head).__name__} does not call loss_cls.')
        table = listener.table.cpu().numpy()
        self.counted = table[0].astype(np.int64)
        return curves_of(table)


class _LossListener(nn.Module):
    """Stands for ``loss_cls`` and adds up, per class: samples, cross-entropy, score of the class, hits."""

    def __init__(self, head: Any, classes: int) -> None:
        super().__init__()
        self.loss, self.classes, self.called = head.loss_cls, classes, False
        self.probabilities = gives_probabilities(head)
        self.own_scores = bool(getattr(self.loss, 'custom_cls_channels', False))
        self.sigmoid = self.probabilities or bool(getattr(self.loss, 'use_sigmoid', False))
        self.table = torch.zeros(4, classes, dtype=torch.float64)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__('loss'), name)

    def forward(self, pred: Tensor, target: Any, weight: Tensor | None = None, **options: Any) -> Tensor:
        """Count; the value is 0, since only what comes in is of interest.

        PAA asks for the losses of its candidates, to choose among them: that is answered and not counted.
        """
        if options.get('reduction_override') == 'none':
            answer: Tensor = self.loss(pred, target, weight, **options)
            return answer
        self.called = True
        labels = labels_of(target, self.classes)
        counted = (labels >= 0) & (labels < self.classes)
        if weight is not None:
            counted &= weight.reshape(len(labels), -1).amax(dim=1) > 0
        values = pred.reshape(len(labels), -1)[counted].double()
        loss, score, hit = self._judge(values, labels[counted])
        sums = [torch.bincount(labels[counted], part, self.classes).double() for part in (None, loss, score, hit)]
        self.table = self.table.to(pred.device) + torch.stack(sums)
        return pred.sum() * 0

    def _judge(self, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropy, score and hit of samples (P, channels) of classes (P,)."""
        own = labels[:, None]
        if self.own_scores:
            scores = self.loss.get_activation(values.float()).double()[:, : self.classes]
            score = scores.gather(1, own)[:, 0]
            return -score.clamp_min(FLOOR).log(), score, (scores.argmax(1) == labels).double()
        if not self.sigmoid:
            loss = F.cross_entropy(values, labels, reduction='none')
            return loss, torch.exp(-loss), (values.argmax(1) == labels).double()
        logits = torch.logit(values, eps=FLOOR) if self.probabilities else values
        onehot = F.one_hot(labels, self.classes).double()
        loss = F.binary_cross_entropy_with_logits(logits, onehot, reduction='none').sum(1)
        return loss, logits.gather(1, own)[:, 0].sigmoid(), (logits.argmax(1) == labels).double()


def labels_of(target: Any, classes: int) -> Tensor:
    """(P,) class of every sample, C for background, from any form of target that the hosts' heads hand to a class loss:
    indices, (indices, qualities), or one value per class, all 0 for background."""
    target = target[0] if isinstance(target, (tuple, list)) else target
    if not target.is_floating_point() and not (target.ndim > 1 and target.shape[-1] == classes):
        return target.reshape(-1).long()
    best = target.reshape(-1, classes).max(dim=1)
    return torch.where(best.values > 0, best.indices, classes)


@contextlib.contextmanager
def _in_place(model: Any, head: Any, listener: _LossListener) -> Iterator[None]:
    """Put the listener in the place of the loss, and leave out the mask head, for which no masks are loaded."""
    roi = getattr(model, 'roi_head', None)
    masks = getattr(roi, 'mask_head', None)
    owned = {name: getattr(head, name) for name in CLASS_LOSSES if isinstance(getattr(head, name, None), nn.Module)}
    for name in owned:
        setattr(head, name, listener)
    if masks is not None:
        roi.mask_head = None
    try:
        yield
    finally:
        for name, loss in owned.items():
            setattr(head, name, loss)
        if masks is not None:
            roi.mask_head = masks


def _with_objects(sample: Any, objects: ImageObjects) -> Any:
    """The sample with its objects as the loss wants them."""
    made = sample['data_samples']
    if made.metainfo.get('flip') or made.metainfo.get('border') is not None:
        raise ValueError('ProgressHook: the validation pipeline flips or pads images; it must only resize them.')
    scale = torch.tensor([*made.metainfo.get('scale_factor', (1.0, 1.0))] * 2)
    boxes, labels = torch.from_numpy(objects.boxes).float() * scale, torch.from_numpy(objects.labels)
    ignored = torch.from_numpy(objects.ignored)
    made = made.clone()
    made.gt_instances = InstanceData(bboxes=boxes[~ignored], labels=labels[~ignored])
    made.ignored_instances = InstanceData(bboxes=boxes[ignored], labels=labels[ignored])
    return {**sample, 'data_samples': made}
