"""Class-aware sampling: every class gets a set share of the draws, however few images hold it.

Shen, Lin, Huang: Relay Backpropagation for Effective Learning of Deep CNNs. ECCV 2016 (equal shares). Kang et al.:
Decoupling Representation and Classifier for Long-Tailed Recognition. ICLR 2020 (shares n_j ** power; 1/2 is
square-root sampling). Added here: a cap on how often one image may come per epoch, and a share of images without any
class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.sampling.streams import IndexStream, epoch_generator
from imbdense.core.stats import ImageClassTable

Indices = NDArray[np.int64]


class ClassAwareStream(IndexStream):
    """Visit the classes in turn; at each visit draw an image of the class, cycling through them in random order.

    One epoch of L draws: a share goes to images without classes; the rest is divided over the classes that have images
    in proportion to n_j ** power (n_j images of class j; power 0: equally), rarest first. A class takes whole passes
    over its images (each pass in a new random order) until its part is used up. No image is drawn more than
    ``max_repeat`` times: what a class cannot place then is divided over the classes that follow. The draws of each
    class are spread evenly over the epoch, so that a batch sees many classes. Cost: O(images + entries) numpy passes.

    Args:
        table: which image holds which class.
        length: L; ``None`` = the number of images.
        max_repeat: most draws of one image per epoch, >= 1.
        background_share: share in [0, 1] of the draws for images without any class; ``None`` = their share of the
            data set. Without such images the draws go to the classes.
        power: in [0, 1]; 0 = equal shares, 1/2 = square-root sampling, 1 = as often as the class has images.

    Attributes:
        absent_classes: indices of classes without an image; they cannot be drawn.

    Raises:
        ValueError: no image; or L is larger than max_repeat * I, so that the cap could not be kept.
    """

    def __init__(
        self,
        table: ImageClassTable,
        length: int | None = None,
        max_repeat: int = 10,
        background_share: float | None = None,
        power: float = 0.0,
    ) -> None:
        self.table = table
        self.num_images = len(table)
        if self.num_images == 0:
            raise ValueError('class-aware sampling: the data set has no image to draw.')
        self.max_repeat = check_integer('max_repeat', max_repeat, low=1)
        self.length = self.num_images if length is None else check_integer('length', length, low=1)
        if self.length > self.max_repeat * self.num_images:
            raise ValueError(
                f'length={self.length} draws cannot be made from {self.num_images} images with at most '
                f'max_repeat={max_repeat} draws each. Raise max_repeat or lower length.'
            )
        natural = table.empty_images.size / self.num_images
        self.background_share = (
            natural if background_share is None else check_number('background_share', background_share, low=0, high=1)
        )
        counts = table.image_counts
        self.absent_classes: Indices = np.flatnonzero(counts == 0)
        present = np.flatnonzero(counts)
        self._order: Indices = present[np.argsort(counts[present], kind='stable')]
        weights = counts[self._order].astype(np.float64) ** check_number('power', power, low=0, high=1)
        # Of what is left when its turn comes, class k takes weight k / weights of k and all that follow.
        self._parts = (weights / np.cumsum(weights[::-1])[::-1]).tolist()

    def epoch(self, seed: int, epoch: int) -> Indices:
        """Return the (L,) image indices of one epoch."""
        rng = epoch_generator(seed, epoch)
        room = np.full(self.num_images, self.max_repeat, dtype=np.int64)
        background = self.table.empty_images
        parts: list[Indices] = []

        def draw(images: Indices, wanted: int) -> int:
            """Draw what can be placed and return how many draws are left in the epoch."""
            parts.append(_passes(images, wanted, room, rng))
            return left - parts[-1].size

        left = self.length
        left = draw(background, _round(left * self.background_share, rng))
        for klass, part in zip(self._order.tolist(), self._parts):
            left = draw(self.table.images_of(klass), _round(left * part, rng))
        left = draw(background, left)  # every class is at its cap, or there is none
        draw(np.arange(self.num_images), left)  # so is the background; room elsewhere is ensured by the constructor
        return _interleave(parts, rng)

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws per epoch, which sum to L.

        Exact when no image reaches the cap; otherwise a close approximation (the expectation of each step is taken
        before the next one).
        """
        rates = np.zeros(self.num_images)
        background = self.table.empty_images
        left = self.length - self._fill(rates, background, self.length * self.background_share)
        for klass, part in zip(self._order.tolist(), self._parts):
            left -= self._fill(rates, self.table.images_of(klass), left * part)
        left -= self._fill(rates, background, left)
        self._fill(rates, np.arange(self.num_images), left)
        return rates

    def _fill(self, rates: NDArray[np.float64], images: Indices, amount: float) -> float:
        """Add ``amount`` evenly to the rates of ``images`` without passing the cap; return what was placed."""
        if images.size == 0 or amount <= 0:
            return 0.0
        room = self.max_repeat - rates[images]
        ascending = np.sort(room)
        # water level: the images with less room than the level are full, the others each get the level
        full = np.concatenate([[0.0], np.cumsum(ascending)[:-1]])
        placed_at = full + ascending * np.arange(images.size, 0, -1)
        index = int(np.searchsorted(placed_at, amount))
        level = ascending[-1] if index == images.size else (amount - full[index]) / (images.size - index)
        added = np.minimum(room, level)
        rates[images] += added
        return float(added.sum())


def _round(value: float, rng: np.random.Generator) -> int:
    """Round up or down at random, keeping the mean."""
    return int(value + rng.random())


def _passes(images: Indices, wanted: int, room: Indices, rng: np.random.Generator) -> Indices:
    """Draw ``wanted`` images in passes without replacement, as far as ``room`` allows; lower ``room`` in place."""
    drawn: list[Indices] = []
    while wanted > 0:
        chosen = _one_pass(images, wanted, room, rng)
        if chosen.size == 0:
            break
        room[chosen] -= 1
        drawn.append(chosen)
        wanted -= chosen.size
    return np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)


def _one_pass(images: Indices, wanted: int, room: Indices, rng: np.random.Generator) -> Indices:
    """Draw up to ``wanted`` different images that have room, in random order."""
    some = wanted + wanted // 8 + 16
    if some < images.size:  # a part of a pass: no need to shuffle the whole class
        chosen = images[rng.choice(images.size, some, replace=False)]
        chosen = chosen[room[chosen] > 0][:wanted]
        if chosen.size == wanted:
            return chosen
    return rng.permutation(images[room[images] > 0])[:wanted]


def _interleave(parts: list[Indices], rng: np.random.Generator) -> Indices:
    """Merge the draws of the classes so that each is spread evenly over the epoch, keeping its own order.

    Positions are compared to 1 / 65536 of an epoch, which a radix sort orders in one pass.
    """
    keys = np.concatenate([(np.arange(part.size) + rng.random(part.size)) / max(part.size, 1) for part in parts])
    places = np.minimum(keys * 65536, 65535).astype(np.uint16)
    return np.concatenate(parts)[np.argsort(places, kind='stable')]
