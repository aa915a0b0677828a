"""A model that learns from images OFDS chose sees rare classes that it does not see in random images."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import OFDS, RandomSelector
from tests.helpers.selection_task import CLASSES, ODDS, RARE, draw, selected_iou

SEEDS = range(3)


def test_the_task_is_imbalanced_enough() -> None:
    """The rarest class is on at most a fiftieth of the pictures that show the most frequent one."""
    pictures = draw(1000, ODDS, 0)
    images = [len(np.unique(pictures.owner[pictures.klass == klass])) for klass in range(CLASSES)]
    assert min(images) * 50 <= max(images) and min(images) > 0


@pytest.mark.slow
def test_rare_classes_are_learned() -> None:
    """IoU of the three rarest classes: more than random by over the pooled standard deviation; mIoU not below
    random - .005."""
    found = {
        selector: np.array([selected_iou(selector, seed) for seed in SEEDS]) for selector in (OFDS(), RandomSelector())
    }
    (ours, random) = (values[:, -RARE:].mean(axis=1) for values in found.values())
    pooled = np.sqrt((ours.var(ddof=1) + random.var(ddof=1)) / 2)
    assert ours.mean() > random.mean() + pooled, (ours, random)
    (ours, random) = (values.mean() for values in found.values())
    assert ours >= random - 0.005, (ours, random)
