"""Transform: the host's photometric transforms on each date of a pair."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from imbdense.mm.transforms.change_maps import split_dates
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PerDate(BaseTransform):
    """Apply photometric transforms to the image of each date by itself.

    The host's ``PhotoMetricDistortion``, ``CLAHE``, ``AdjustGamma`` and such know images of three bands, not the two or
    more dates on the channels of a pair. Each date goes through ``transforms`` as an image of its own; the label maps
    do not. By default the dates draw their own random numbers, as light, season and sensor differ between dates;
    ``shared`` gives all dates the same ones.

    Geometric transforms stay outside: they act on all dates and label maps at once.

    Args:
        transforms: configs or transforms, in order.
        shared: draw the same random numbers for every date.

    Raises:
        ValueError: a transform changed the size of the image, flipped it, or left the dates with different bands.
    """

    card = 'change_data'
    tasks = ('change_detection',)
    conformance_arguments = {'transforms': ()}

    def __init__(self, transforms: Sequence[Any], shared: bool = False) -> None:
        self.pipeline = Compose(list(transforms))
        self.transforms = self.pipeline.transforms  # where those who walk through pipelines look
        self.shared = bool(shared)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Transform one sample; ``None`` when a transform gives none."""
        shape = results['img'].shape[:2]
        others = {key: value for key, value in results.items() if key not in ('img', 'seg_fields', 'flip')
                  and key not in results.get('seg_fields', ())}  # fmt: skip
        state = random.getstate(), np.random.get_state(), torch.get_rng_state()
        images = []
        for date, image in enumerate(split_dates(results)):
            if date and self.shared:
                random.setstate(state[0])
                np.random.set_state(state[1])
                torch.set_rng_state(state[2])
            found = self.pipeline({**others, 'img': np.ascontiguousarray(image), 'seg_fields': []})
            if found is None:
                return None
            if found['img'].shape[:2] != shape or found.get('flip'):
                raise ValueError(
                    f'PerDate: date {date + 1} left its transforms with size {found["img"].shape[:2]} instead of '
                    f'{shape}, or flipped. Put geometric transforms outside of PerDate, where they move every date and '
                    f'label alike.'
                )
            images.append(found['img'].reshape(*shape, -1))
        if len({image.shape for image in images}) > 1:
            raise ValueError(f'PerDate: the dates left with different bands: {[image.shape[2] for image in images]}.')
        results['img'] = np.concatenate(images, axis=2)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, shared={self.shared})'
