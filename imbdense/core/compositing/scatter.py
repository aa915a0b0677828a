"""Where objects go: random places on a canvas until one is accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imbdense.core.compositing.canvas import Canvas
from imbdense.core.compositing.cutout import Cutout

TRIES = 10
"""Places tried for one object: more would only crowd images that are full."""


def scatter(canvas: Canvas, cutouts: Sequence[Cutout], rng: np.random.Generator) -> int:
    """Paste objects at uniformly drawn places and return how many were accepted.

    The objects are taken in random order, so that no class is favoured where there is little room. An object's centre
    lies inside the image; its border may not. Each gets up to ten places; one that is refused at all of them is left
    out, and nobody takes its turn.
    """
    accepted = 0
    for number in rng.permutation(len(cutouts)).tolist():
        cutout = cutouts[number]
        height, width = cutout.mask.shape
        for top, left in rng.random((TRIES, 2)) * canvas.shape - (height / 2, width / 2):
            if canvas.paste(cutout, int(np.floor(top + 0.5)), int(np.floor(left + 0.5))):
                accepted += 1
                break
    return accepted


def jittered(
    cutout: Cutout, rng: np.random.Generator, flips: Sequence[str], scale: tuple[float, float]
) -> Cutout:
    """Mirror with probability .5 along each of ``flips`` ('horizontal', 'vertical'); scale by U(scale)."""
    turned = {axis: bool(rng.random() < 0.5) for axis in flips}
    return cutout.flipped(**turned).scaled(float(rng.uniform(*scale)))


def draw_quota(quota: float, rng: np.random.Generator) -> int:
    """A whole number whose mean is ``quota``: its floor, plus one with the probability of the rest."""
    whole = int(quota)
    return whole + int(rng.random() < quota - whole)
