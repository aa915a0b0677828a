"""Progressively balanced sampling: from the images as they come to equally many draws for every class.

Kang et al.: Decoupling Representation and Classifier for Long-Tailed Recognition. ICLR 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.sampling.class_aware import ClassAwareStream
from imbdense.core.sampling.rates import draw_epoch
from imbdense.core.sampling.streams import IndexStream, epoch_generator
from imbdense.core.stats import ImageClassTable


class ProgressiveStream(IndexStream):
    """Epoch t of T draws a share 1 - t/T uniformly and a share t/T class-balanced.

    Where every image has one class, class j is drawn with probability q_j(t) = (1 - t/T) n_j / sum(n) + (t/T) / C.
    With several classes in an image "uniformly" means every image equally often, and the balanced part is that of
    :class:`ClassAwareStream` with its cap. From epoch T on all draws are class-balanced. The epoch number is all the
    state there is: a resumed run, and an endless stream (one epoch = as many draws as there are images), go on right.

    Args:
        table: which image holds which class.
        epochs: T > 0, passes over the data in the whole training; need not be whole.
        max_repeat: most draws of one image per epoch, >= 1.

    Raises:
        ValueError: no image, or an argument out of range.
    """

    def __init__(self, table: ImageClassTable, epochs: float, max_repeat: int = 10) -> None:
        balanced = ClassAwareStream(table, max_repeat=max_repeat)
        self.epochs = check_number('epochs', epochs, low=0.0, low_open=True)
        self.num_images = self.length = balanced.num_images
        self._balanced = balanced.draw_rates()

    def rates_at(self, progress: float) -> NDArray[np.float64]:
        """Return (I,) expected draws of an epoch at ``progress`` = t / T in [0, 1]."""
        return (1.0 - progress) + progress * self._balanced

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws per epoch, averaged over the epochs 0, 1, ... below T."""
        steps = np.arange(np.ceil(self.epochs))
        return self.rates_at(float(steps.mean()) / self.epochs)

    def epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the (L,) image indices of one epoch."""
        rates = self.rates_at(min(epoch / self.epochs, 1.0))
        return draw_epoch(rates, self.length, epoch_generator(seed, epoch))
