"""How many samples a detection head learns each class, and the background, from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NoForegroundError(ValueError):
    """Not one sample of the whole data set is assigned to an object."""


@dataclass(frozen=True, eq=False)
class AssignedCounts:
    """Samples (anchors, points, proposals, queries) per class and background, summed over a data set.

    A sample that the loss ignores is in neither. All sums are int64.

    Attributes:
        classes: C class names, without the background.
        foreground: (C,) int64, samples assigned to each class.
        background: samples assigned to no object.
        images: images that were counted; a repeated one counts again.
        dataset_images: images of the data set.
        share_error: standard error of :attr:`foreground_share` from counting some of the images; 0 when all were.
        source: what was counted, for messages.
    """

    classes: tuple[str, ...]
    foreground: NDArray[np.int64]
    background: int
    images: int = 0
    dataset_images: int = 0
    share_error: float = 0.0
    source: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'classes', tuple(self.classes))
        object.__setattr__(self, 'foreground', np.asarray(self.foreground, np.int64))
        if self.foreground.shape != (len(self.classes),) or (self.foreground < 0).any() or self.background < 0:
            raise ValueError(
                f'AssignedCounts: expected {len(self.classes)} foreground counts >= 0 and a background count >= 0, '
                f'but got {self.foreground.tolist()} and {self.background}.'
            )

    @classmethod
    def from_moments(
        cls,
        classes: tuple[str, ...],
        totals: NDArray[np.int64],
        moments: NDArray[np.int64],
        images: int,
        dataset_images: int,
        source: str = '',
    ) -> AssignedCounts:
        """Build from sums over images.

        Args:
            classes: C names.
            totals: (C + 1,) samples per class, the background last.
            moments: (3,) sums over images of f^2, f * n and n^2, with f foreground and n all samples of an image.
            images: n of the formula below, images counted.
            dataset_images: M of the formula below.
            source: see the class.

        The share R = sum f / sum n is a ratio estimate; its variance is ``(1 - n / M) * n / (n - 1) *
        sum (f_i - R n_i)^2 / (sum n_i)^2`` (Cochran, Sampling Techniques, 1977), which is 0 when all were counted.
        """
        foreground, everything = int(totals[:-1].sum()), int(totals.sum())
        share = foreground / everything if everything else 0.0
        # Python integers: the three terms nearly cancel, and int64 products of them could overflow.
        squares = int(moments[0]) - 2 * share * int(moments[1]) + share * share * int(moments[2])
        unseen = max(1.0 - images / dataset_images, 0.0) if dataset_images else 0.0
        error = 0.0
        if images > 1 and everything:
            error = math.sqrt(unseen * images / (images - 1) * max(squares, 0.0)) / everything
        return cls(classes, totals[:-1], int(totals[-1]), images, dataset_images, error, source)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def num_foreground(self) -> int:
        """N_f, samples assigned to any class."""
        return int(self.foreground.sum())

    @property
    def total(self) -> int:
        """N = N_f + N_b."""
        return self.num_foreground + self.background

    @property
    def foreground_share(self) -> float:
        """N_f / N; 0 when nothing was counted."""
        return self.num_foreground / self.total if self.total else 0.0

    @property
    def prior(self) -> float:
        """pi = N_f / (C * N), the best common probability of the classes."""
        return self.foreground_share / self.num_classes

    def require_foreground(self, owner: str) -> AssignedCounts:
        """Return self.

        Raises:
            NoForegroundError: N_f is 0; the message says what to look at.
        """
        if self.num_foreground == 0:
            raise NoForegroundError(
                f'{owner}: of {self.total} samples in {self.images} images not one is assigned to an object '
                f'({self.source or "unknown head"}). Do the annotations hold boxes of the classes in metainfo '
                f'({", ".join(self.classes[:5])}), and do the anchors fit their sizes? Without objects there is no '
                f'prior; give prior=0.01 to set one by hand.'
            )
        return self

    def score_thresholds(self, low: float, high: float, *, per_class: bool = False) -> NDArray[np.float64]:
        """Return the score below which a detection can not matter, clipped to [low, high]: one number or (C,).

        ``theta = N_f / N``, or per class ``theta_j = (N_f / N) * N_j / N_f = N_j / N``: the scores of a classifier
        that starts at the prior and never learns to tell anything.
        """
        share = self.foreground / max(self.total, 1) if per_class else np.asarray(self.foreground_share)
        return np.clip(share, low, high)

    def describe(self) -> str:
        """One line: N_f, N, pi and how they were counted."""
        images = f'{self.images} images' if self.images == self.dataset_images else (
            f'{self.images} of {self.dataset_images} images'
        )
        error = f' +- {self.share_error:.2g}' if self.share_error else ''
        return (
            f'N_f={self.num_foreground} N={self.total} N_f/N={self.foreground_share:.3g}{error} C={self.num_classes} '
            f'pi={self.prior:.3g} ({images}; {self.source})'
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON files and checkpoints."""
        return {
            'classes': list(self.classes),
            'foreground': self.foreground.tolist(),
            'background': self.background,
            'images': self.images,
            'dataset_images': self.dataset_images,
            'share_error': self.share_error,
            'source': self.source,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> AssignedCounts:
        """Rebuild from :meth:`to_dict`; unknown or missing keys are a ``ValueError``."""
        try:
            return cls(**record)
        except TypeError as error:
            raise ValueError(f'not a record of assigned counts ({error}); keys {sorted(record)}.') from error
