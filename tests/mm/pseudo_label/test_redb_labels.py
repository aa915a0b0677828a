"""Training labels that remember the rounds before."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmdet')

from imbdense.core.pseudo_label import MemoryEnsemble
from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.pseudo_label.redb_labels import merged_labels


def boxes(rows: list[tuple[list[float], int, float, bool]]) -> PseudoBoxes:
    """(box, label, score, ignored) of one image."""
    corners = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return PseudoBoxes(
        'a.png', (64, 64), corners, np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float32), np.array([row[3] for row in rows], bool),
    )  # fmt: skip


def rows(labels: PseudoBoxes) -> list[tuple[list[float], int, float, bool]]:
    """The same, back."""
    return [(box.tolist(), int(label), round(float(score), 3), bool(ignored)) for box, label, score, ignored
            in zip(labels.boxes, labels.labels, labels.scores, labels.ignored, strict=True)]


def test_rounds_are_merged_by_class() -> None:
    """Class 0 (label 0 has no sign of its own) and the ignore band survive; the better box of a pair stays."""
    memory = MemoryEnsemble()
    first = [([0.0, 0, 10, 10], 0, 0.6, False), ([20.0, 20, 40, 40], 1, 0.4, True)]
    (merged,) = merged_labels([boxes(first)], memory)
    assert rows(merged) == first
    better = [([1.0, 0, 10, 10], 0, 0.9, False), ([20.0, 20, 40, 40], 2, 0.7, False)]
    (merged,) = merged_labels([boxes(better)], memory)
    assert rows(merged) == [better[0], first[1], better[1]]
    ignored = [(*row[:3], True) for row in better]
    for expected in ([better[0], first[1], better[1]], ignored):
        (merged,) = merged_labels([boxes([])], memory)
        assert rows(merged) == expected
    assert merged.boxes.dtype == np.float32 and merged.labels.dtype == np.int64
