"""What the prior estimate looks at: model outputs of drawn pixels (or objects) with the image each comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift.moments import Floats, Indices


@dataclass(frozen=True)
class ClassOutputs:
    """Outputs of a model at n drawn places.

    Attributes:
        logits: (n, K) float; log probabilities will do.
        label: (n,) true class in [0, K); -1 = not known (unlabelled).
        weight: (n,) how many places each stands for.
        group: (n,) image.
    """

    logits: NDArray[np.floating]
    label: Indices
    weight: Floats
    group: Indices

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.logits.shape[1])

    @property
    def predicted(self) -> Indices:
        """(n,) class of the largest logit."""
        return self.logits.argmax(axis=1)

    @classmethod
    def concat(cls, parts: Sequence[ClassOutputs]) -> ClassOutputs:
        """Join several images; there must be one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))
