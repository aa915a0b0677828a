"""Do the nearest objects agree with the class that a proposal claims?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.selection.feature_rows import Features
from imbdense.core.selection.knn import NeighbourChunks


@dataclass(frozen=True)
class Verdict:
    """What the neighbours say.

    Attributes:
        agrees: (n,) bool, no other class has more votes.
        share: (n,) float64 in [0, 1], the votes for the claimed class.
    """

    agrees: NDArray[np.bool_]
    share: NDArray[np.float64]


class KNNVerifier:
    """Keep the proposals whose own class has the most votes among their nearest objects.

    The k nearest objects (cosine, all classes, the object itself left out) vote with the class they were proposed as:
    one vote each, or 1 / n_class with ``balanced``, so that a frequent class cannot outvote a rare one by being
    everywhere. A tie keeps the object. With fewer than k + 1 objects all others vote; a single object agrees, since
    nobody contradicts it.

    Cost: 2 n^2 D operations; memory: see :func:`~imbdense.core.selection.knn.nearest_neighbours`, and 9 bytes per
    object, whatever the number of classes. State: none.

    Args:
        k: neighbours, >= 1.
        balanced: see above.
    """

    card = 'ofds'
    tasks = ('segmentation', 'detection')

    def __init__(self, k: int = 10, balanced: bool = False) -> None:
        self.k = check_integer('k', k, low=1, owner=type(self).__name__)
        self.balanced = bool(balanced)

    def __call__(self, features: Features, claimed: NDArray[np.int32], num_classes: int) -> Verdict:
        """Ask the neighbours of every object.

        Args:
            features: (n, D) array or view, finite and not zero.
            claimed: (n,) classes in [0, num_classes).
            num_classes: C.
        """
        count = len(claimed)
        neighbours = min(self.k, count - 1)
        if neighbours < 1:
            return Verdict(np.ones(count, dtype=bool), np.ones(count))
        size = np.bincount(claimed, minlength=num_classes)
        weight = 1.0 / np.maximum(size, 1) if self.balanced else np.ones(num_classes)
        verdict = Verdict(np.empty(count, dtype=bool), np.empty(count))
        chunks = NeighbourChunks(features, neighbours, queries=None, metric='cosine', exclude_self=True,
                                 backend='auto', chunk_rows=None)
        for place, index, _ in chunks:
            voted = claimed[index.cpu().numpy()]
            votes = weight[voted]
            own = (votes * (voted == claimed[place, None])).sum(1)
            # Neighbours against neighbours, not a column per class: memory does not know how many classes there are.
            best = ((voted[:, :, None] == voted[:, None]) * votes[:, None]).sum(2).max(1)
            # Sums of equal weights in another order may differ in the last digit: that is a tie.
            verdict.agrees[place] = own >= best * (1 - 1e-9)
            verdict.share[place] = own / votes.sum(1)
        return verdict

    def options(self) -> dict[str, Any]:
        """The constructor's arguments, for the record."""
        return {'type': type(self).__name__, 'k': self.k, 'balanced': self.balanced}
