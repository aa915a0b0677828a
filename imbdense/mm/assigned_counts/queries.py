"""Query heads (DETR and its family, Mask2Former, Sparse R-CNN): one query is matched to each object."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from imbdense.mm.assigned_counts.anchors import class_row
from imbdense.mm.assigned_counts.images import DrawnImage


class QueryCounter:
    """Counts queries: those matched to an object, by its class, and the rest.

    Whom the matching chooses depends on the predictions, how many it chooses does not: the objects of the image, or
    all queries where there are more objects. The denoising queries of DINO, half of which are objects, are left out,
    and so are the repeated matches of ``FrequencyHungarianAssigner``, which the bias takes into account.

    Args:
        queries: per image.
        classes: C.
    """

    def __init__(self, queries: int, classes: int) -> None:
        self.queries = int(queries)
        self.classes = int(classes)

    def signature(self) -> list[Any]:
        """What the counts depend on besides the images."""
        return [self.queries, self.classes]

    def count(self, image: DrawnImage) -> NDArray[Any]:
        """(1, C + 1) queries of each class, the unmatched last."""
        labels = image.labels[: self.queries]
        return class_row(labels, self.queries - len(labels), self.classes)
