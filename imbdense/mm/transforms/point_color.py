"""Transform: clouds without their colours, so that a model does not rely on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness

from imbdense.core.checks import check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PointDropColor(PointTransform):
    """Replace the colours of a whole cloud by one value, now and then (KPConv, STPLS3D: in a fifth of the clouds).

    Args:
        prob: chance in [0, 1].
        names: the attributes that are dropped together.
        value: what stands for them.

    Raises:
        KeyError: the sample has no such attribute.
    """

    def __init__(self, prob: float = 0.2, names: Sequence[str] = ('rgb',), value: float = 0.5) -> None:
        self.prob = check_number('prob', prob, low=0, high=1, owner='PointDropColor')
        self.names = (names,) if isinstance(names, str) else tuple(names)
        self.value = check_number('value', value, owner='PointDropColor')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Drop or keep the colours of one sample."""
        attributes = dict(results.get('attributes', {}))
        missing = [name for name in self.names if name not in attributes]
        if missing:
            raise KeyError(f'PointDropColor: the sample has no {", ".join(missing)}, only {", ".join(attributes)}.')
        if self.drops():
            attributes.update({name: np.full_like(attributes[name], self.value) for name in self.names})
        return {**results, 'attributes': attributes}

    @cache_randomness
    def drops(self) -> bool:
        """Whether this cloud loses its colours."""
        return bool(host_generator().random() < self.prob)

    def __repr__(self) -> str:
        return f'PointDropColor(prob={self.prob:g}, names={self.names}, value={self.value:g})'
