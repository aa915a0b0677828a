"""Loss, score and recall per class on a fixed list of images: what every probe gives, and the one of segmentors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.logit_attachment import MASK_HEADS
from imbdense.mm.metrics.dense_sample import logits_and_labels


@dataclass(frozen=True)
class ProbeCurves:
    """One measurement, (C,) each; NaN for a class without a sample: mean cross-entropy, mean score of the right class,
    and share of the samples that are classified right."""

    loss: NDArray[np.float64]
    score: NDArray[np.float64]
    recall: NDArray[np.float64]


class Probe(Protocol):
    """Images with a measurement on them that leaves the model as it was.

    Attributes:
        classes: class names. images: their number. counted: (C,) samples per class, known after the first
            measurement. unit: what a sample is.
    """

    classes: tuple[str, ...]
    images: int
    counted: NDArray[np.int64]
    unit: str

    def measure(self, model: Any) -> ProbeCurves:
        """Loss, score and recall of every class."""


def curves_of(table: NDArray[np.float64]) -> ProbeCurves:
    """From (4, C): samples, and the sums of loss, score and hits over them."""
    with np.errstate(invalid='ignore'):
        return ProbeCurves(table[1] / table[0], table[2] / table[0], table[3] / table[0])


class SegmentationProbe:
    """Loaded images with labels, and a measurement on them.

    Args:
        batches: one collated sample each, as the validation loader yields them.
        classes: class names. ignore_index: label that does not count.

    Attributes:
        images: their number. counted: (C,) labelled pixels per class, known after the first measurement. unit: pixels.
    """

    unit = 'pixels'

    def __init__(self, batches: Sequence[dict[str, Any]], classes: tuple[str, ...], ignore_index: int) -> None:
        self.batches, self.classes, self.ignore_index = batches, classes, ignore_index
        self.images = len(batches)
        self.counted: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    @torch.no_grad()
    def measure(self, model: Any) -> ProbeCurves:
        """Over the pixels of each class; the mode of ``model`` is kept."""
        training = model.training
        scores = type(getattr(model, 'decode_head', None)).__name__ in MASK_HEADS
        table = np.zeros((4, len(self.classes)))
        model.eval()
        try:
            for batch in self.batches:
                for sample in model.test_step(batch):
                    table += self._tally(sample.to_dict(), scores)
        finally:
            model.train(training)
        self.counted = table[0].astype(np.int64)
        return curves_of(table)

    def _tally(self, sample: dict[str, Any], scores: bool) -> NDArray[np.float64]:
        """Per class: pixels, and the sums of cross-entropy, score and hits."""
        logits, labels, valid = logits_and_labels(sample, len(self.classes), self.ignore_index, 'ProgressHook')
        logits = two_channels(torch.log(logits + 1e-6) if scores else logits)
        labels, logits = labels[valid], logits[:, valid].float()
        loss = F.cross_entropy(logits.T, labels, reduction='none').double()
        hit = (logits.argmax(0) == labels).double()
        parts = (None, loss, torch.exp(-loss), hit)
        sums = [torch.bincount(labels, part, len(self.classes)).double() for part in parts]
        return torch.stack(sums).cpu().numpy()


def two_channels(logits: Tensor) -> Tensor:
    """Logits (C, n); a single sigmoid channel z becomes (0, z), which has the same probabilities."""
    return torch.cat([torch.zeros_like(logits), logits]) if logits.shape[0] == 1 else logits
