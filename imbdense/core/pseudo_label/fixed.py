"""The thresholds of FixMatch and of ReDB: fixed, one for all classes or one per class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.core.pseudo_label.class_values import per_class
from imbdense.core.pseudo_label.labeler import PseudoLabeler


class FixedThreshold(PseudoLabeler):
    """Accept what is at least as confident as a fixed threshold, one for all classes or one per class.

    ``accepted iff q >= threshold[c]``. 0 accepts everything, 1 only certainty. No state.

    Args:
        num_classes: K >= 1.
        threshold: in [0, 1]; one number or one per class.
        negative, ignore_index: see :class:`PseudoLabeler`.

    Source: Sohn et al., FixMatch, NeurIPS 2020; with an ignore band per class: Chen et al., ReDB, ICCV 2023.
    """

    positive: Tensor

    def __init__(
        self,
        num_classes: int,
        threshold: float | Sequence[float] = 0.95,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        values = per_class('threshold', threshold, num_classes, low=0.0, high=1.0, owner='FixedThreshold')
        self.register_buffer('positive', values, persistent=False)

    def thresholds(self) -> Tensor:
        """(K,) float32, as given."""
        return self.positive
