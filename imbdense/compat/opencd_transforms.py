"""The transforms of open-cd; see :mod:`imbdense.compat.opencd`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Normalize, Pad, RandomResize
from mmengine.registry import TRANSFORMS
from mmseg.datasets.transforms import (
    CLAHE,
    AdjustGamma,
    PhotoMetricDistortion,
    RandomCrop,
    RandomCutOut,
    RandomFlip,
    RandomRotate,
    RandomRotFlip,
    Rerange,
    Resize,
    ResizeShortestEdge,
    ResizeToMultiple,
    RGB2Gray,
)

from imbdense.mm.transforms.change_maps import num_dates, split_dates
from imbdense.mm.transforms.load_change_pair import LoadChangeLabels, LoadChangePair
from imbdense.mm.transforms.pack_change_inputs import PackChangeInputs
from imbdense.mm.transforms.per_date import PerDate
from imbdense.mm.transforms.swap_dates import SwapDates


@TRANSFORMS.register_module(name='MultiImgLoadImageFromFile')
class LoadImages(LoadChangePair):
    """Load the images of both dates; decoding arguments other than the usual are refused.

    Args:
        to_float32: make the image float32.
        color_type, imdecode_backend, backend_args, ignore_empty: accepted with their usual values.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str | None = 'cv2',
        backend_args: Mapping[str, Any] | None = None,
        ignore_empty: bool = False,
    ) -> None:
        if color_type != 'color' or imdecode_backend not in (None, 'cv2') or backend_args or ignore_empty:
            raise ValueError(
                'MultiImgLoadImageFromFile: only color_type="color" and imdecode_backend="cv2" are known here. For '
                'more bands load TIFFs with imbdense.LoadChangePair(bands=...).'
            )
        super().__init__(with_labels=False)
        self.to_float32 = bool(to_float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the images of one sample."""
        results = super().transform(results)
        if self.to_float32:
            results['img'] = results['img'].astype(np.float32)
        return results


@TRANSFORMS.register_module(name='MultiImgLoadAnnotations')
class LoadChangeMap(LoadChangeLabels):
    """Load the change map; how it is read is the data set's matter.

    Args:
        reduce_zero_label, backend_args, imdecode_backend: accepted; the data set decides.
    """

    with_land_cover = False

    def __init__(
        self,
        reduce_zero_label: bool | None = None,
        backend_args: Mapping[str, Any] | None = None,
        imdecode_backend: str = 'pillow',
    ) -> None:
        if reduce_zero_label or backend_args:
            raise ValueError(f'{type(self).__name__}: reduce_zero_label and backend_args have no counterpart here.')
        super().__init__(land_cover=self.with_land_cover)


@TRANSFORMS.register_module(name='MultiImgMultiAnnLoadAnnotations')
class LoadAllMaps(LoadChangeMap):
    """Load the change map and the land cover of both dates."""

    with_land_cover = True

    def __init__(
        self,
        reduce_semantic_zero_label: bool | None = None,
        backend_args: Mapping[str, Any] | None = None,
        imdecode_backend: str = 'pillow',
    ) -> None:
        super().__init__(None, backend_args, imdecode_backend)
        self.reduce_semantic_zero_label = reduce_semantic_zero_label

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the label maps of one sample."""
        form, wanted = results.get('land_cover_format'), self.reduce_semantic_zero_label
        if form is not None and wanted is not None and form.reduce_zero_label != wanted:
            raise ValueError(
                f'MultiImgMultiAnnLoadAnnotations: reduce_semantic_zero_label={wanted}, but the data set says '
                f'{form.reduce_zero_label}. Set it in the data set.'
            )
        return super().transform(results)


@TRANSFORMS.register_module(name='MultiImgPackSegInputs')
class PackInputs(PackChangeInputs):
    """Pack images and label maps."""


@TRANSFORMS.register_module(name='MultiImgExchangeTime')
class ExchangeTime(SwapDates):
    """Exchange the dates with probability ``prob``."""


# The dates lie on the channels of one image, so the host's geometric transforms move them, and every label, alike.
for _host in (Resize, RandomFlip, RandomCrop, RandomRotate, ResizeShortestEdge, ResizeToMultiple):
    TRANSFORMS.register_module(name=f'MultiImg{_host.__name__}', module=_host)


@TRANSFORMS.register_module(name='MultiImgPad')
class PadBoth(Pad):
    """Pad both dates and all labels; OpenCV pads four channels at most, so each date goes by itself."""

    def _pad_img(self, results: dict[str, Any]) -> None:
        """Pad the images of one sample."""
        padded = [{**results, 'img': np.ascontiguousarray(image)} for image in split_dates(results)]
        for date in padded:
            super()._pad_img(date)
        results.update({**padded[0], 'img': np.concatenate([date['img'] for date in padded], axis=2)})


@TRANSFORMS.register_module(name='MultiImgRandomResize')
class ResizeAtRandom(RandomResize):
    """Resize both dates and all labels by one random scale.

    Args:
        scale, ratio_range: as in mmcv. resize_type: the transform that resizes. others: of ``MultiImgResize``.
    """

    def __init__(
        self,
        scale: Any,
        ratio_range: tuple[float, float] | None = None,
        resize_type: str = 'MultiImgResize',
        keep_ratio: bool = False,
        interpolation: str = 'bilinear',
    ) -> None:
        super().__init__(scale, ratio_range, resize_type, keep_ratio=keep_ratio, interpolation=interpolation)


@TRANSFORMS.register_module(name='MultiImgRandomRotFlip')
class RotateOrFlip(BaseTransform):
    """Rotate by a random angle, or by quarter turns and a flip; labels by nearest neighbour, as open-cd does it.

    Args:
        rotate_prob, flip_prob, degree, pad_val, seg_pad_val: as in open-cd.
    """

    def __init__(
        self,
        rotate_prob: float = 0.5,
        flip_prob: float = 0.5,
        degree: float | Sequence[float] = (-20, 20),
        pad_val: float = 0,
        seg_pad_val: int = 255,
    ) -> None:
        self.rotate_prob, self.flip_prob = float(rotate_prob), float(flip_prob)
        self.rotate = RandomRotate(1.0, degree, pad_val, seg_pad_val)
        self.flip = RandomRotFlip(0.0, 1.0)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn one sample, or not."""
        if random.random() < self.rotate_prob:
            return self.rotate.transform(results)  # type: ignore[no-any-return]
        return self.flip.transform(results) if random.random() < self.flip_prob else results


@TRANSFORMS.register_module(name='MultiImgRandomCutOut')
class CutOut(RandomCutOut):
    """Cut the same patches out of both dates."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut out of one sample."""
        fill = self.fill_in
        self.fill_in = tuple(fill) * num_dates(results)
        try:
            return super().transform(results)  # type: ignore[no-any-return]
        finally:
            self.fill_in = fill


def _per_date(host: type, name: str) -> type:
    """A transform of images of one date under an open-cd name, with the arguments of the host."""

    class OnEachDate(PerDate):
        __doc__ = f'The host\'s ``{host.__name__}`` on each date by itself.'

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if kwargs.pop('consistent_contrast_mode', False):
                raise ValueError(f'{name}: for equal distortion of the dates use imbdense.PerDate(shared=True).')
            super().__init__([host(*args, **kwargs)])

    OnEachDate.__name__ = OnEachDate.__qualname__ = name
    TRANSFORMS.register_module(name=name, module=OnEachDate)
    return OnEachDate


for _host in (PhotoMetricDistortion, CLAHE, AdjustGamma, Rerange, RGB2Gray, Normalize):
    _per_date(_host, f'MultiImg{_host.__name__}')
