"""Listening to the class head of a detector: the candidates of each image, as its own post-processing decodes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from imbdense.core.inference import BoxCandidates, ImageObjects
from imbdense.mm.inference.head_facts import find_head
from imbdense.mm.inference.read_places import MAX_PLACES, READERS


@contextlib.contextmanager
def listen(model: nn.Module, max_places: int = MAX_PLACES) -> Iterator[Callable[[], dict[str, NDArray[Any]] | None]]:
    """While open, the next prediction of one image leaves its candidates.

    Yields a function that returns boxes, logits, factor, level and proposals of the image predicted last and forgets
    them; ``None`` when the head was not asked, because no proposal was made. The model predicts as always.
    """
    head, facts = find_head(model)
    original = head.predict_by_feat
    box: list[dict[str, NDArray[Any]]] = []
    read = READERS[facts.kind]

    def predict_by_feat(*args: Any, **kwargs: Any) -> Any:
        box.append(read(head, original, facts, args, kwargs, max_places))
        return original(*args, **kwargs)

    def take() -> dict[str, NDArray[Any]] | None:
        found = box.pop() if box else None
        box.clear()
        return found

    object.__setattr__(head, 'predict_by_feat', predict_by_feat)
    try:
        yield take
    finally:
        head.__dict__.pop('predict_by_feat', None)


def to_candidates(
    found: dict[str, NDArray[Any]] | None, objects: ImageObjects, image_id: str, channels: int
) -> BoxCandidates:
    """Join what :func:`listen` caught (``None`` = nothing was proposed) with the annotated objects."""
    if found is None:
        nothing = np.zeros((0, 4), np.float32)
        return BoxCandidates(
            nothing, np.zeros((0, channels), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16), nothing,
            objects, image_id,
        )  # fmt: skip
    return BoxCandidates(objects=objects, image_id=image_id, **found)
