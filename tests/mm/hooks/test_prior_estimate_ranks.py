"""The class shares of the pool are the same on one rank and on two."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.core.pseudo_label import DistributionAlign
from imbdense.mm.hooks.prior_estimate_hook import PriorEstimateHook
from imbdense.utils.distributed import rank_and_world
from tests.helpers.two_ranks import run_two_ranks

IMAGES, CLASSES = 11, 3
"""An odd number of images: the ranks hold unequal parts."""


class Drawn:
    """Held-out images whose logits and labels follow from their index; each rank looks at its own part."""

    classes = ('a', 'b', 'c')

    def __len__(self) -> int:
        return IMAGES

    def look(self, model, chosen, load=None):
        rank, world = rank_and_world()
        for index in list(chosen)[rank::world]:
            rng = np.random.default_rng((index, load is None))
            label = rng.choice(CLASSES, (12, 12), p=(0.7, 0.2, 0.1) if load is None else (0.4, 0.4, 0.2))
            logits = 3.0 * np.eye(CLASSES)[label].transpose(2, 0, 1) + rng.normal(size=(CLASSES, 12, 12))
            yield index, torch.from_numpy(logits).float(), label if load is None else None


def estimate() -> np.ndarray:
    """What the refiner is told."""
    model = DistributionAlign(CLASSES, 'bbse')
    hook = PriorEstimateHook(interval=1)
    hook._targets, hook._held_out, hook._pool = [model.target], Drawn(), (IMAGES, lambda index: index)
    hook._estimate(SimpleNamespace(model=model, iter=4, visualizer=SimpleNamespace(add_scalars=lambda *a, **k: None)))
    return model.target.estimate.numpy().copy()


def test_two_ranks_are_one() -> None:
    alone = estimate()
    assert alone.sum() == pytest.approx(1.0) and np.abs(alone - (0.4, 0.4, 0.2)).max() < 0.12
    first, second = run_two_ranks(estimate)
    assert np.array_equal(first, second) and np.array_equal(first, alone)
