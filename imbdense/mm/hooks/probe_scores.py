"""Loss and recall per class of a segmentor on a fixed list of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.logit_attachment import MASK_HEADS
from imbdense.mm.metrics.dense_sample import logits_and_labels


class SegmentationProbe:
    """Loaded images with labels, and a measurement on them.

    Args:
        batches: one collated sample each, as the validation loader yields them.
        classes: class names. ignore_index: label that does not count.

    Attributes:
        images: their number. pixels: (C,) labelled pixels per class, known after the first measurement.
    """

    def __init__(self, batches: Sequence[dict[str, Any]], classes: tuple[str, ...], ignore_index: int) -> None:
        self.batches, self.classes, self.ignore_index = batches, classes, ignore_index
        self.images = len(batches)
        self.pixels: NDArray[np.int64] = np.zeros(len(classes), np.int64)

    @torch.no_grad()
    def measure(self, model: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(C,) mean cross-entropy and (C,) recall; NaN for a class without a pixel. The mode of ``model`` is kept."""
        training = model.training
        scores = type(getattr(model, 'decode_head', None)).__name__ in MASK_HEADS
        table = np.zeros((3, len(self.classes)))
        model.eval()
        try:
            for batch in self.batches:
                for sample in model.test_step(batch):
                    table += self._tally(sample.to_dict(), scores)
        finally:
            model.train(training)
        self.pixels = table[0].astype(np.int64)
        with np.errstate(invalid='ignore'):
            return table[1] / table[0], table[2] / table[0]

    def _tally(self, sample: dict[str, Any], scores: bool) -> NDArray[np.float64]:
        """Per class: pixels, sum of the cross-entropy, hits."""
        logits, labels, valid = logits_and_labels(sample, len(self.classes), self.ignore_index, 'ProgressHook')
        logits = two_channels(torch.log(logits + 1e-6) if scores else logits)
        labels, logits = labels[valid], logits[:, valid].float()
        loss = F.cross_entropy(logits.T, labels, reduction='none').double()
        hit = (logits.argmax(0) == labels).double()
        sums = [torch.bincount(labels, weights, len(self.classes)).double() for weights in (None, loss, hit)]
        return torch.stack(sums).cpu().numpy()


def two_channels(logits: Tensor) -> Tensor:
    """Logits (C, n); a single sigmoid channel z becomes (0, z), which has the same probabilities."""
    return torch.cat([torch.zeros_like(logits), logits]) if logits.shape[0] == 1 else logits
