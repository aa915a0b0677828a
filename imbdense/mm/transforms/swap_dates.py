"""Transform: exchange the dates of a pair, with their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.mm.transforms.change_maps import CHANGE, date_key, num_dates, split_dates
from imbdense.registry import TRANSFORMS

FILES = ('img_path', 'seg_map_path')


@TRANSFORMS.register_module()
class SwapDates(BaseTransform):
    """Exchange the dates of a pair with probability ``prob``: images, land cover and file names; of a series, reverse.

    What changed is the same either way round, and so is a change map of two classes. Kinds of change are not: "new" is
    "demolished" seen backwards. Where the change map holds kinds, ``swap_classes`` must say what each becomes.

    Args:
        prob: in [0, 1].
        swap_classes: kind of change -> its kind seen backwards; kinds that are not named stay.

    Raises:
        ValueError: kinds of change without ``swap_classes``.
    """

    card = 'change_data'
    tasks = ('change_detection',)

    def __init__(self, prob: float = 0.5, swap_classes: Mapping[int, int] | None = None) -> None:
        self.prob = check_number('prob', prob, low=0, high=1, owner=type(self).__name__)
        self.swap_classes = None if swap_classes is None else {int(k): int(v) for k, v in swap_classes.items()}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Exchange the dates of one sample, or not."""
        if results.get('change_mode') == 'direct' and self.swap_classes is None:
            raise ValueError(
                f'{type(self).__name__}: the change map holds kinds of change, which differ seen backwards. Say what '
                f'each becomes, swap_classes={{1: 2, 2: 1}} for example.'
            )
        if not self.draw():
            return results
        dates = num_dates(results)
        results['img'] = np.concatenate(split_dates(results)[::-1], axis=2)
        if results.get('valid') is not None:  # what has data at each date, of rasters
            results['valid'] = np.ascontiguousarray(results['valid'][..., ::-1])
        covers = {key: results.pop(key) for date in range(dates) if (key := date_key(date)) in results}
        for date in range(dates):
            if date_key(date) in covers:
                results[date_key(dates - 1 - date)] = covers[date_key(date)]
        for name in FILES:
            one, two = f'{name}_from', f'{name}_to'
            if one in results and two in results:
                results[one], results[two] = results[two], results[one]
        if results.get('img_paths'):
            results['img_paths'] = list(results['img_paths'])[::-1]
            results['img_path'] = results['img_paths'][0]
        if self.swap_classes and CHANGE in results:
            results[CHANGE] = self.table[results[CHANGE]]
        return results

    @property
    def table(self) -> NDArray[np.uint8]:
        """(256,) value of the change map seen backwards."""
        table = np.arange(256, dtype=np.uint8)
        for old, new in (self.swap_classes or {}).items():
            table[old] = new
        return table

    @cache_randomness
    def draw(self) -> bool:
        """Whether this sample is exchanged."""
        return bool(np.random.rand() < self.prob)

    def prior_effect(self, context: Any) -> NDArray[np.float64]:
        """Return (C,) expected pixels per class of the change map and epoch.

        Args:
            context: an ``imbdense.mm.prior.PriorContext``.
        """
        given: NDArray[np.float64] = context.table.expected_totals(context.draws)
        turned = np.zeros_like(given)
        np.add.at(turned, self.table[: given.size].astype(np.int64), given)
        return (1 - self.prob) * given + self.prob * turned

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, swap_classes={self.swap_classes})'
