"""Transform: crops of a pair around rare kinds of change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_choice
from imbdense.core.sampling import class_histogram, draw_pixel, place_window
from imbdense.data.change.labels import transition_ids
from imbdense.mm.transforms.change_maps import CHANGE, land_cover_keys
from imbdense.mm.transforms.crop_prior import Amounts, expected_crop_amounts
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.rare_class_crop import RareClassCrop
from imbdense.mm.transforms.rare_crop import Window
from imbdense.mm.transforms.window import cut_window
from imbdense.registry import TRANSFORMS

By = Literal['transition', 'land_cover', 'change']
Maps = tuple[NDArray[np.integer], NDArray[np.int32], NDArray[np.float64] | None]
"""(change map, what may be targeted or -1, pixels of each target in the data set)."""


@TRANSFORMS.register_module()
class ChangeAwareCrop(RareClassCrop):
    """Crop so that, in a given share of the crops, a pixel of a rare kind of change lies inside.

    Like :class:`RareClassCrop`, but the class is drawn among what *changed* in the pair, proportional to n_c ** -power:
    among the transitions (``building -> water``), the land covers after the change, or the classes of the change map.
    "Unchanged" is never a target. The other crops, and pairs without change, are uniform.

    n_c are the pixels of the training set where :class:`imbdense.ChangePairDataset` loads the pairs (it counts the
    transitions once, cached), else those of the pair. The effect on the classes of the change map is declared to the
    prior ledger, from simulated crops.

    Args:
        crop_size: window (height, width), or one number for both.
        rate: share of targeted crops in [0, 1].
        by: what is drawn; without land cover the change map's classes whatever it says.
        power: >= 0; 0 draws what is present evenly, 1 inversely to n_c.
        ignore_index: value of ignored pixels. pad_val: value for ``img`` outside the image.

    Raises:
        ValueError: argument out of range; ``results`` without a change map.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(
        self,
        crop_size: int | Sequence[int],
        rate: float = 0.5,
        by: By = 'transition',
        power: float = 0.5,
        ignore_index: int = 255,
        pad_val: float = 0,
    ) -> None:
        super().__init__(crop_size, rate, None, power, None, ignore_index, pad_val)
        self.by = check_choice('by', by, get_args(By), owner=type(self).__name__)

    @cache_randomness
    def crop_window(self, results: dict[str, Any]) -> Window:
        """Return (top, left, height, width) of the crop for one sample."""
        return self._place(self.maps_of(results), host_generator())

    def maps_of(self, results: Mapping[str, Any]) -> Maps:
        """The change map of a sample, what may be targeted in it, and how much of each target there is."""
        change, keys = results[CHANGE], land_cover_keys(results)
        covers = results.get('land_cover_format')
        if self.by == 'change' or not keys or covers is None:
            known = (change != 0) & (change != self.ignore_index)
            return change, np.where(known, change.astype(np.int32), -1), None
        size = len(covers.classes)
        targets = np.maximum(transition_ids(change, [results[key] for key in keys], size), -1)
        counts = results.get('transition_pixels')
        if self.by == 'land_cover':
            targets = np.where(targets >= 0, targets % size, -1).astype(np.int32)
            counts = None if counts is None else counts.reshape(size, size).sum(axis=0)
        return change, targets, counts

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected crop pixels per class of the change map and epoch, by simulated crops of the labels.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """

        def crop(maps: Maps, rng: np.random.Generator) -> Maps:
            window = self._place(maps, rng)
            return cut_window(maps[0], window, self.ignore_index), maps[1], maps[2]

        def amounts(maps: Maps) -> Amounts:
            return class_histogram(maps[0], self.ignore_index)

        return expected_crop_amounts(context, lambda index: self.maps_of(context.load_sample(index)), crop, amounts)

    def _place(self, maps: Maps, rng: np.random.Generator) -> Window:
        """The window: around a drawn target, or anywhere."""
        change, targets, counts = maps
        pixel = None
        if rng.random() < self.rate:
            klass = self.choose_class(*class_histogram(targets, -1), counts, rng)
            pixel = None if klass is None else draw_pixel(targets == klass, rng)
        return (*place_window(change.shape, self.crop_size, rng, pixel), *self.crop_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(crop_size={self.crop_size}, rate={self.rate}, by='{self.by}')"
