"""Images by expected coverage per minute: lazy greedy over objects that may or may not be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.lazy_greedy import lazy_greedy
from imbdense.core.selection.minutes import spendable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shows:
    """Which image shows which mode, and how likely.

    Attributes:
        image, mode: (E,) int64, each pair once, sorted by image. chance: (E,) in [0, 1].
        starts: (M + 1,) the entries of each image.
    """

    image: NDArray[np.int64]
    mode: NDArray[np.int64]
    chance: Floats
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, image: NDArray[np.int64], mode: NDArray[np.int64], chance: Floats, num_images: int) -> Shows:
        """From objects: several of one mode in an image show it with 1 - prod(1 - chance)."""
        width = int(mode.max(initial=0)) + 1
        key, place = np.unique(image * width + mode, return_inverse=True)
        absent = np.zeros(len(key))
        np.add.at(absent, place, np.log1p(-np.minimum(chance, 1 - 1e-12)))
        owner = key // width
        return cls(owner, key % width, -np.expm1(absent), np.searchsorted(owner, np.arange(num_images + 1)))

    def of_image(self, image: int) -> slice:
        """The entries of an image."""
        return slice(int(self.starts[image]), int(self.starts[image + 1]))


class ExpectedCoverage:
    """Expected number of modes seen for the first time, f(A) = sum_k unseen_k (1 - prod_{i in A} (1 - chance_ik)).

    Monotone and submodular: what an image adds only falls while others are chosen.

    Args:
        shows: chances over M images. unseen: (K,) probability that a mode has not been seen.
    """

    def __init__(self, shows: Shows, unseen: Floats) -> None:
        self._shows, self._still = shows, unseen.astype(np.float64).copy()

    def gains(self) -> Floats:
        """(M,) what each image would add now."""
        worth = self._still[self._shows.mode] * self._shows.chance
        return np.bincount(self._shows.image, worth, minlength=len(self._shows.starts) - 1).astype(np.float64)

    def gain(self, row: int) -> float:
        """What one image would add now."""
        part = self._shows.of_image(row)
        return float((self._still[self._shows.mode[part]] * self._shows.chance[part]).sum())

    def add(self, row: int) -> None:
        """Take an image."""
        part = self._shows.of_image(row)
        self._still[self._shows.mode[part]] *= 1 - self._shows.chance[part]


def greedy_coverage(shows: Shows, unseen: Floats, costs: Floats, budget: float) -> tuple[list[int], Floats]:
    """Choose images for :class:`ExpectedCoverage`.

    Images are taken by gain per cost while they are affordable; with unit costs that reaches 1 - 1/e of the best
    possible value. With other costs the result is the better of this and of the best single image, which reaches half
    of that.

    Args:
        shows: images that may not be chosen have no entry. unseen: (K,).
        costs: (M,) > 0. budget: >= 0. Images that add nothing are not chosen.

    Returns:
        images in order, and the gain of each.
    """
    objective = ExpectedCoverage(shows, unseen)
    first = objective.gains()
    left = spendable(budget)
    eligible = np.flatnonzero((first > 0) & (costs <= left))
    chosen: list[int] = []
    gains: list[float] = []

    def payable(image: int) -> bool:
        return bool(costs[image] <= left)

    for image, gain in lazy_greedy(objective, eligible, costs, payable):
        if gain <= 0:
            break
        chosen.append(image)
        gains.append(gain)
        left -= costs[image]
    if eligible.size:
        single = int(eligible[first[eligible].argmax()])
        if first[single] > sum(gains):
            return [single], first[[single]]
    return chosen, np.array(gains)
