"""``imbdense.ChangeKinds``."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from mmcv.transforms import BaseTransform

from imbdense.core.checks import check_choice, check_integer
from imbdense.mm.transforms.change_maps import CHANGE, land_cover_keys
from imbdense.registry import TRANSFORMS

By = Literal['to', 'from', 'from_to']


@TRANSFORMS.register_module()
class ChangeKinds(BaseTransform):
    """Turn the change map of a pair with land cover into kinds of change, for direct multi-class change detection.

    0 stays "unchanged"; a changed pixel gets 1 + its land cover at the last date ('to') or the first ('from'), or
    1 + S * first + last ('from_to'), S land covers. Changed without known land cover = ignored. Name the kinds in
    ``metainfo=dict(classes=...)`` of the data set.

    Args:
        by: see above. num_land_covers: S, needed by 'from_to'. ignore_index: of all maps.

    Raises:
        ValueError: the sample has no land cover, or 'from_to' without ``num_land_covers``.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)

    def __init__(self, by: By = 'to', num_land_covers: int | None = None, ignore_index: int = 255) -> None:
        self.by = check_choice('by', by, get_args(By), owner='ChangeKinds')
        if by == 'from_to' and num_land_covers is None:
            raise ValueError("ChangeKinds: by='from_to' needs num_land_covers.")
        self.num_land_covers = None if num_land_covers is None else check_integer(
            'num_land_covers', num_land_covers, low=1, high=15, owner='ChangeKinds'
        )
        self.ignore_index = check_integer('ignore_index', ignore_index, owner='ChangeKinds')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``gt_seg_map``."""
        keys = land_cover_keys(results)
        if not keys:
            raise ValueError('ChangeKinds: the sample has no land cover; the data set needs the maps of both dates.')
        first, last = (results[key].astype(np.int64) for key in (keys[0], keys[-1]))
        change, known = results[CHANGE], (first != self.ignore_index) & (last != self.ignore_index)
        if self.by != 'from_to':
            kind = last if self.by == 'to' else first
            known = kind != self.ignore_index
        else:
            kind = (self.num_land_covers or 0) * first + last
        kinds = np.where(known, kind + 1, self.ignore_index)
        results[CHANGE] = np.where((change > 0) & (change != self.ignore_index), kinds, change).astype(change.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(by={self.by!r})'
