"""The modes of one class, which of them are seen, and what further images would show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.expected_coverage import Shows
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.modes import find_modes
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.proposal_quality import LabelledBatch, ProposalQuality


class ClassOutlook:
    """What is known about the modes of a class after a batch was labelled.

    A mode is seen when an object in a labelled image belongs to it that people have marked as the class, whatever it
    was proposed as. A labelled object of the class under no proposal has no feature; it is of mode k with the share
    s_k that the mode has among the trusted objects. So mode k is unseen with probability (1 - s_k)^missed, or 0.

    Args:
        pool, trusted, batch, quality: see :func:`imbdense.core.selection.next_hour.next_hour`.
        klass: the class.

    Attributes:
        modes: of its trusted objects. unseen: (K,) probabilities. shows: chances of the images that are not labelled.
    """

    def __init__(
        self, pool: ObjectPool, trusted: NDArray[np.int64], batch: LabelledBatch, quality: ProposalQuality,
        klass: int, *, max_modes: int, normalize: bool, seed: int,
    ) -> None:
        self.pool, self.batch, self.quality, self.klass = pool, batch, quality, klass
        rows = trusted[pool.obj_class[trusted] == klass]
        self.modes = find_modes(FeatureRows(pool.obj_feat, rows, normalize), max_modes, seed)
        open_rows = ~np.isin(pool.obj_image[rows], batch.images)
        self._rows, self._mode = rows[open_rows], self.modes.labels[open_rows]
        chance = quality.precision(pool.obj_class[self._rows], pool.obj_score[self._rows])
        self.shows = Shows.of(pool.obj_image[self._rows], self._mode, chance, pool.num_images)
        self._expected = float(chance.sum())
        self.unseen = (1 - self.modes.share) ** batch.missed[klass]
        marked = batch.rows[batch.true_class == klass]
        if self.modes.count and marked.size:
            self.unseen[self.modes.of(FeatureRows(pool.obj_feat, marked, normalize))] = 0.0

    def draw_new_modes(
        self, images: Sequence[int], samples: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """(samples,) draws of the number of modes that labelling ``images`` shows for the first time.

        Each draw takes a precision per score bin and lets every trusted object in the images be right or wrong; takes a
        recall r, which makes hidden objects of the class in the pool, (1 - r) / r per right one, of which Poisson many
        lie in these images, their modes drawn by share; and takes which modes were unseen.
        """
        count = self.modes.count
        if not count:
            return np.zeros(samples, dtype=np.int64)
        inside = np.isin(self.pool.obj_image[self._rows], np.asarray(images, dtype=np.int64))
        mode, bins = self._mode[inside], self.quality.bin_of(self.pool.obj_score[self._rows[inside]])
        precision = self.quality.draw_precision(self.klass, samples, rng)
        recall = self.quality.draw_recall(self.klass, samples, rng)
        right = rng.random((samples, len(mode))) < precision[:, bins]
        found = np.zeros((samples, count), dtype=np.int64)
        np.add.at(found.T, mode, right.T)
        open_images = max(self.pool.num_images - len(self.batch.images), 1)
        hidden = self._expected * (1 - recall) / recall * len(images) / open_images
        found += rng.poisson(hidden[:, None] * self.modes.share)
        unseen = rng.random((samples, count)) < self.unseen
        return ((found > 0) & unseen).sum(axis=1)
