"""Images by expected coverage per minute: lazy greedy over objects that may or may not be there."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def greedy_coverage(
    shows: Shows, unseen: Floats, costs: Floats, budget: float
) -> tuple[list[int], Floats]:
    """Choose images for the expected number of modes seen for the first time.

    f(A) = sum_k unseen_k (1 - prod_{i in A} (1 - chance_ik)) is monotone and submodular: what an image adds only falls
    while others are chosen, so a value that was computed earlier is a bound and most need not be computed again.
    Images are taken by gain per cost while they are affordable; with unit costs that reaches 1 - 1/e of the best
    possible value. With other costs the result is the better of this and of the best single image, which reaches half
    of that.

    Args:
        shows: chances, over M images; those that may not be chosen have no entry.
        unseen: (K,) probability that a mode has not been seen.
        costs: (M,) > 0. budget: >= 0. Images that add nothing are not chosen.

    Returns:
        images in order, and the gain of each.
    """
    still = unseen.astype(np.float64).copy()

    def gain(image: int) -> float:
        part = shows.of_image(image)
        return float((still[shows.mode[part]] * shows.chance[part]).sum())

    first = {int(image): gain(int(image)) for image in np.unique(shows.image) if costs[image] <= budget}
    queue = [(-value / costs[image], image) for image, value in first.items()]
    heapq.heapify(queue)
    chosen: list[int] = []
    gains: list[float] = []
    left = budget
    while queue:
        _, image = heapq.heappop(queue)
        if costs[image] > left:
            continue
        value = gain(image)
        rank = (-value / costs[image], image)
        if queue and rank > queue[0]:
            heapq.heappush(queue, rank)
            continue
        if value <= 0:
            break
        part = shows.of_image(image)
        still[shows.mode[part]] *= 1 - shows.chance[part]
        chosen.append(image)
        gains.append(value)
        left -= costs[image]
    single = min(first, key=lambda image: (-first[image], image), default=-1)
    if single >= 0 and first[single] > sum(gains):
        return [single], np.array([first[single]])
    return chosen, np.array(gains)
