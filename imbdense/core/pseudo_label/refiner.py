"""What every refiner shares: it changes a teacher's probabilities before a rule makes labels of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.pseudo_label.probabilities import checked_probabilities


class Refiner(nn.Module, ABC):
    """Base of the refiners: probabilities in, probabilities out.

    State lies in persistent buffers, moves only in train mode, is summed (or gathered) over all ranks before it is
    used, and is never read back from the device. The arithmetic is float32, whatever autocast says.

    Args:
        num_classes: K >= 2.
    """

    card = 'distribution_alignment'
    tasks: tuple[str, ...] = ('segmentation', 'points', 'volumes')
    needs_features = False  # whether forward wants the teacher's features

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=type(self).__name__)
        self.progress = 0.0

    def forward(self, probs: Tensor, valid: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        """Refine a batch; in train mode also update the state.

        Args:
            probs: class probabilities (N, K, *spatial) or (P, K), any float dtype.
            valid: bool (N, *spatial) or (P,); ``None`` = all. Invalid elements count nothing; what becomes of their
                probabilities is of no meaning.
            features: (N, D, *smaller) or (P, D), for refiners with ``needs_features``.

        Returns:
            float32 of the shape of ``probs``, summing to 1 over dim 1, without graph.

        Raises:
            ValueError: the shapes do not fit, or features are missing.
        """
        owner = type(self).__name__
        values, usable = checked_probabilities(probs, valid, self.num_classes, owner)
        if self.needs_features and features is None:
            raise ValueError(f"{owner} needs the teacher's features: call refiner(probs, valid, features).")
        with torch.no_grad(), torch.autocast(probs.device.type, enabled=False):
            return self.refine(values, usable, features)

    @abstractmethod
    def refine(self, probs: Tensor, valid: Tensor, features: Tensor | None) -> Tensor:
        """The refined probabilities; ``probs`` float32, ``valid`` bool."""

    def set_progress(self, progress: float) -> None:
        """Tell how much of the training is over, in [0, 1], for refiners with a schedule; not stored."""
        self.progress = min(max(float(progress), 0.0), 1.0)
