"""Transform: a weak view and several strong views of one image, of one geometry."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.transforms import BaseTransform, Compose
from mmengine.structures import PixelData

from imbdense.core.checks import check_integer
from imbdense.mm.transforms.view_geometry import apply_and_measure
from imbdense.mm.views import MATRIX_KEY, STRONG, VALID_FIELD, WEAK, Views
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiViewSeg(BaseTransform):
    """Make one weak and several strong views of an unlabelled image that share one geometry.

    The last step of the pipeline, after loading. The geometry (resize, crop, flip, ...) is drawn **once**; a strong
    view is the weak one after transforms of its colours, drawn anew for each. So a prediction of the weak view is a
    label of every strong view, pixel by pixel. Any transform of the host serves, also those that do not say what they
    did: the geometry is applied to an image of coordinates with the same random numbers, which costs as much time
    again.

    Returns, in place of one packed sample, a :class:`~imbdense.mm.views.Views` each of ``inputs`` and
    ``data_samples`` with the branches ``unsup_weak``, ``unsup_strong_1``, .... Every data sample has the metadata
    ``homography_matrix`` ((3, 3), from pixels of the image file to pixels of the view, as in mmdet); the weak one also
    the field ``valid_pixels`` ((1, H, W) bool, False where the geometry padded). Random numbers follow the host's
    seed.

    Args:
        weak: transforms of geometry alone, affine: resize, crop, flip, rotate, pad.
        strong: transforms of colours alone; they may not change the size, and must not move pixels.
        num_strong: strong views, >= 0.
        pack: the transform that packs a view; ``None`` = mmseg's ``PackSegInputs``.

    Raises:
        ValueError: a weak transform changes colours or bends the image; a strong one changes the size.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        weak: Sequence[Any] = (),
        strong: Sequence[Any] = (),
        num_strong: int = 1,
        pack: Mapping[str, Any] | None = None,
    ) -> None:
        self.num_strong = check_integer('num_strong', num_strong, low=0, owner='MultiViewSeg')
        self.weak = Compose(list(weak))
        self.strong = Compose(list(strong))
        self.pack = Compose([dict(pack or {'type': 'PackSegInputs'})])

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Make the views of one image; ``None`` when a transform gives ``None`` (the host then takes another image)."""
        for key in ('gt_seg_map', 'seg_map_path'):
            results.pop(key, None)
        results['seg_fields'] = []
        measured = apply_and_measure(self.weak, results, 'MultiViewSeg')
        if measured is None:
            return None
        base, matrix, inside = measured
        views = {WEAK: copy.deepcopy(base)}
        for number in range(1, self.num_strong + 1):
            strong = self.strong(copy.deepcopy(base))
            if strong is None:
                return None
            if strong['img'].shape[:2] != base['img'].shape[:2]:
                raise ValueError(
                    f'MultiViewSeg: the strong transforms change the size from {base["img"].shape[:2]} to '
                    f'{strong["img"].shape[:2]}. Put transforms of geometry under weak.'
                )
            views[f'{STRONG}{number}'] = strong
        known = {key: results[key] for key in ('sample_idx',) if key in results}
        packed = {name: self.pack(view) for name, view in views.items()}
        for item in packed.values():
            item['data_samples'].set_metainfo({MATRIX_KEY: matrix, **known})
        valid = PixelData(data=torch.from_numpy(inside)[None])
        packed[WEAK]['data_samples'].set_data({VALID_FIELD: valid})
        return {
            key: Views({name: item[key] for name, item in packed.items()}) for key in ('inputs', 'data_samples')
        }
