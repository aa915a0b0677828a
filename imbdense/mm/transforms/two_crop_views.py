"""Transform: two views of one image, augmented independently."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform, Compose

from imbdense.mm.views import VIEW, Views
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TwoCropViews(BaseTransform):
    """Make two views of an image, each with crop, flip and colours of its own, for self-supervised pre-training.

    The last step of the pipeline, after loading. Unlike ``imbdense.MultiViewSeg`` the views share no geometry: they may
    show different places. A label, should the data set bring one, is dropped before the transforms see it.

    Returns, in place of one packed sample, a :class:`~imbdense.mm.views.Views` each of ``inputs`` and ``data_samples``
    with the branches ``view_1`` and ``view_2``. Random numbers follow the host's seed.

    Args:
        transforms: of geometry and colours; run twice.
        pack: the transform that packs a view; ``None`` = mmseg's ``PackSegInputs``. For mmdet
            ``dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape'))``.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')

    def __init__(self, transforms: Sequence[Any], pack: Mapping[str, Any] | None = None) -> None:
        self.transforms = Compose([*transforms, dict(pack or {'type': 'PackSegInputs'})])

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Make the views of one image; ``None`` when a transform gives ``None`` (the host then takes another image)."""
        known = {
            key: value for key, value in results.items() if not key.startswith('gt_') and key != 'seg_map_path'
        }
        known['seg_fields'] = []
        views = {f'{VIEW}{number}': self.transforms(copy.deepcopy(known)) for number in (1, 2)}
        if None in views.values():
            return None
        return {
            key: Views({name: item[key] for name, item in views.items()}) for key in ('inputs', 'data_samples')
        }
