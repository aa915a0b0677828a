"""How good the pseudo-labels of a segmentor are on images whose labels are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.mm.hooks.held_out import HeldOutImages
from imbdense.mm.segmentors.consistency.base import IGNORE
from imbdense.utils.distributed import sum_over_ranks


@dataclass(frozen=True)
class PseudoQuality:
    """Counted pixels, (K,) int64 each, over all ranks.

    Attributes:
        kept: pseudo-labelled as the class. right: of these, those that are of the class. truth: pixels of the class.
    """

    kept: NDArray[np.int64]
    right: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def precision(self) -> NDArray[np.float64]:
        """right / kept; NaN where nothing was kept. 1 - precision is the impurity."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return self.right / self.kept

    @property
    def recall(self) -> NDArray[np.float64]:
        """right / truth; NaN for a class that the held-out images lack."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return self.right / self.truth


def measure_quality(model: Any, images: HeldOutImages, max_images: int, seed: int) -> PseudoQuality:
    """Label drawn held-out images as unlabelled ones would be labelled now, and compare. **Collective**.

    Refiners and rule are in evaluation mode: their averages and thresholds stay as they are.

    Args:
        model: ``imbdense.SemiSegmentor``. seed: of the draw.
    """
    classes = len(images.classes)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:max_images]).tolist()
    counts = {name: np.zeros(classes, np.int64) for name in ('kept', 'right', 'truth')}
    for _, logits, label in images.look(model, chosen):
        valid = torch.from_numpy(label >= 0).to(logits.device)
        pseudo = model.label(logits.softmax(0)[None], None, valid[None]).label[0].cpu().numpy()
        kept = (pseudo != IGNORE) & (label >= 0)
        counts['kept'] += np.bincount(pseudo[kept], minlength=classes)
        counts['right'] += np.bincount(pseudo[kept & (pseudo == label)], minlength=classes)
        counts['truth'] += np.bincount(label[label >= 0], minlength=classes)
    return PseudoQuality(**sum_over_ranks(counts))
