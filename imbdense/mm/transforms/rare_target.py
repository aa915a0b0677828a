"""What everything that is aimed at rare classes shares: how often, at which classes, by which counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MessageHub
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.metrics.groups import FrequencyGroups
from imbdense.core.sampling import draw_class
from imbdense.core.stats import ClassCounts
from imbdense.mm.class_counts import load_class_counts
from imbdense.mm.prior import HUB_COUNTS


class RareTarget(BaseTransform):
    """Base of the transforms that are aimed at a rare class in a share ``rate`` of the cases.

    Args:
        rate: share of targeted cases in [0, 1].
        classes: indices that may be targeted; ``None`` = all; ``'tail'`` = the rarest third by n_c.
        power: >= 0; a present class is drawn with probability proportional to n_c ** -power: 0 evenly, 1 inversely.
        class_counts: n_c, one number per class, or the path of a ``class_counts.json``; ``None`` = those that
            ``imbdense.ClassCountHook`` has published.
    """

    unit = ''
    """What n_c counts."""

    def __init__(
        self,
        rate: float,
        classes: Sequence[int] | Literal['tail'] | None,
        power: float,
        class_counts: Sequence[float] | str | None,
    ) -> None:
        owner = type(self).__name__
        self.rate = check_number('rate', rate, low=0, high=1, owner=owner)
        self.power = check_number('power', power, low=0, owner=owner)
        if isinstance(classes, str) and classes != 'tail':
            raise ValueError(f"{owner}: classes must be None, 'tail' or class indices, but got {classes!r}.")
        self.classes = classes if isinstance(classes, str) or classes is None else frozenset(map(int, classes))
        self.class_counts = self._read_counts(class_counts)

    def choose_class(
        self,
        present: NDArray[np.int64],
        in_image: NDArray[np.int64] | None,
        counts: NDArray[np.float64] | None,
        rng: np.random.Generator,
    ) -> int | None:
        """Draw one of the wanted classes among ``present`` by ``counts`` (C,), else by ``in_image`` (one each)."""
        wanted = self._wanted(counts)
        keep = [i for i, klass in enumerate(present.tolist()) if wanted is None or klass in wanted]
        if not keep:
            return None
        if counts is not None and int(present.max()) >= counts.size:
            raise ValueError(
                f'{type(self).__name__}: class_counts has {counts.size} classes, but the image holds class '
                f'{int(present.max())}; count the data set this crop is used on.'
            )
        known = in_image if counts is None else counts[present]
        return int(present[keep[draw_class(known[keep], self.power, rng)]])

    def known_counts(self) -> NDArray[np.float64] | None:
        """The data set's counts, if they were given or published."""
        if self.class_counts is None:
            record = MessageHub.get_current_instance().get_info(HUB_COUNTS)
            if record is not None:
                self.class_counts = self._floats(ClassCounts.from_dict(record))
        return self.class_counts

    def _wanted(self, counts: NDArray[np.float64] | None) -> frozenset[int] | None:
        """The classes that may be targeted; ``None`` for all."""
        if self.classes != 'tail':
            return self.classes
        if counts is None:
            raise ValueError(
                f"{type(self).__name__}: classes='tail' needs the class counts. Add custom_hooks=[dict(type="
                "'imbdense.ClassCountHook')], or give class_counts='class_counts.json' from `imbdense stats CONFIG`."
            )
        return frozenset(FrequencyGroups.thirds(counts, source=self.unit).members.get('tail', ()))

    def _read_counts(self, value: Sequence[float] | str | None) -> NDArray[np.float64] | None:
        """Counts from a list or a file."""
        if value is None:
            return None
        if isinstance(value, str):
            return self._floats(load_class_counts(value, type(self).__name__))
        return np.asarray(value, dtype=np.float64)

    def _floats(self, counts: ClassCounts) -> NDArray[np.float64]:
        """Counts in the unit of this crop."""
        return counts.of(self.unit).astype(np.float64)
