"""The result of a selector: which images, in which order, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Choice:
    """One chosen image.

    Attributes:
        image: index into the pool's ``image_ids``.
        gain: what the selector gained by it, in the selector's own measure (a distance, a number of covered objects).
        rule: short name of the step that chose it, e.g. 'farthest', 'fill'.
        row: the object that spoke for it, -1 = none (chosen as an image).
        klass: class of that object, -1 = none.
        cluster: cluster it stands for, -1 = none.
    """

    image: int
    gain: float = 0.0
    rule: str = ''
    row: int = -1
    klass: int = -1
    cluster: int = -1


@dataclass(frozen=True)
class Selection:
    """The chosen images in order, and what a reader must know to repeat and to judge them.

    Attributes:
        choices: in order of choice, no image twice.
        image_ids: their names, in the same order.
        cost: minutes of all chosen images together (number of images where the pool names no cost).
        report: the selector's own figures (per-class counts, quotas, missing classes, ...), JSON-ready.
        notes: sentences about what was unusual (no objects, random fill, dropped rows).
        selector: name and options of the selector; ``seed``; ``fingerprint`` of the pool.
    """

    choices: Sequence[Choice]
    image_ids: Sequence[str]
    cost: float
    seed: int
    selector: Mapping[str, Any]
    fingerprint: str = ''
    report: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        """The number of chosen images."""
        return len(self.choices)

    @property
    def images(self) -> NDArray[np.int64]:
        """(B,) int64 indices into the pool, in order of choice."""
        return np.array([choice.image for choice in self.choices], dtype=np.int64)
