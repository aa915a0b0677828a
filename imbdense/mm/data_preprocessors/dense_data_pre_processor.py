"""Data preprocessor of segmentors: any number of bands and dates, every label map padded alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS as HOST_MODELS
from mmengine.structures import PixelData
from torch import Tensor
from torch.nn import functional as F

from imbdense.core.checks import check_integer
from imbdense.registry import MODELS


@MODELS.register_module()
class DenseDataPreProcessor(BaseDataPreprocessor):
    """Normalise, pad and stack images of any number of bands, taken at one or several dates.

    Where the host's preprocessor knows three channels, this one knows ``dates`` images of B bands each, concatenated
    on the channels: (dates * B, H, W), date by date. ``mean`` and ``std`` are those of one date and hold for all, or
    name every channel. In training all images are padded at the right and the bottom to ``size``, or to the largest
    of the batch rounded up to ``size_divisor``; every label map ``gt_*`` is padded with ``seg_pad_val``. In
    evaluation nothing is padded unless ``test_cfg`` says how; images of a batch must then have one size.

    Args:
        mean, std: B or dates * B numbers; ``None`` = no normalisation.
        dates: images per sample.
        size: (height, width) to pad to; ``size_divisor``: or a multiple of it.
        pad_val: of images, after normalisation (0 = the mean). seg_pad_val: of label maps.
        bgr_to_rgb: exchange the first and the third band of every date (files read by OpenCV).
        batch_augments: configs of batch augmentations, each called as ``(inputs, data_samples)``. One with
            ``makes_dates = D`` (``imbdense.STARPairing``) is given images of fewer dates in training, ``dates / D``.
        test_cfg: ``size`` or ``size_divisor`` in evaluation.

    Raises:
        ValueError: channels that do not fit ``dates``, ``mean`` or ``std``; both ``size`` and ``size_divisor``; images
            of different sizes in evaluation.
    """

    card = 'change_data'
    tasks = ('segmentation', 'change_detection')

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        dates: int = 1,
        size: Sequence[int] | None = None,
        size_divisor: int | None = None,
        pad_val: float = 0.0,
        seg_pad_val: int = 255,
        bgr_to_rgb: bool = False,
        batch_augments: Sequence[Mapping[str, Any]] = (),
        test_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if (mean is None) != (std is None):
            raise ValueError(f'{name}: give both mean and std, or neither.')
        if size is not None and size_divisor is not None:
            raise ValueError(f'{name}: give size or size_divisor, not both.')
        self.dates = check_integer('dates', dates, low=1, owner=name)
        self.mean = None if mean is None else tuple(float(value) for value in mean)
        self.std = None if std is None else tuple(float(value) for value in std)
        self.training_padding = {'size': size, 'size_divisor': size_divisor}
        self.test_padding = dict(test_cfg or {})
        self.pad_val, self.seg_pad_val, self.bgr_to_rgb = float(pad_val), int(seg_pad_val), bool(bgr_to_rgb)
        self.batch_augments = [HOST_MODELS.build(dict(config)) for config in batch_augments]
        made = math.prod(getattr(augment, 'makes_dates', 1) for augment in self.batch_augments)
        if self.dates % made:
            raise ValueError(f'{name}: the batch augmentations make samples of {made} dates, but dates={dates}.')
        self.training_dates = self.dates // made

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return ``inputs`` (N, dates * B, H, W) float32 and the samples, with ``pad_shape`` and ``padding_size``."""
        data = self.cast_data(data)  # type: ignore[assignment]
        images, samples = list(data['inputs']), data.get('data_samples')
        dates = self.training_dates if training else self.dates
        images = [self._normalised(image, dates) for image in images]
        target = self._target(images, training)
        images = [F.pad(image, _padding(image, target), value=self.pad_val) if target else image for image in images]
        for image_shape, sample in zip([image.shape for image in data['inputs']], samples or []):
            self._pad_sample(sample, image_shape[-2:], target or image_shape[-2:], training)
        inputs = torch.stack(images)
        for augment in self.batch_augments if training else ():
            inputs, samples = augment(inputs, samples)
        return {'inputs': inputs, 'data_samples': samples}

    def _normalised(self, image: Tensor, dates: int) -> Tensor:
        """One image as float32, bands in the order of the model, mean 0 and standard deviation 1."""
        channels, name = image.shape[0], type(self).__name__
        if channels % dates:
            raise ValueError(f'{name}: the image has {channels} channels, which is no multiple of dates={dates}.')
        image = image.float()
        if self.bgr_to_rgb:
            bands = channels // dates
            if bands < 3:
                raise ValueError(f'{name}: bgr_to_rgb needs at least 3 bands, but the image has {bands} per date.')
            order = [date * bands + band for date in range(dates) for band in (2, 1, 0, *range(3, bands))]
            image = image[order]
        if self.mean is None or self.std is None:
            return image
        mean, std = (
            self._per_channel(key, values, channels, dates) for key, values in (('mean', self.mean), ('std', self.std))
        )
        return (image - mean.to(image)) / std.to(image)

    def _per_channel(self, key: str, values: tuple[float, ...], channels: int, dates: int) -> Tensor:
        """(channels, 1, 1) of B or dates * B numbers."""
        if len(values) * dates == channels:
            values = values * dates
        if len(values) != channels:
            raise ValueError(
                f'{type(self).__name__}: {key} has {len(values)} numbers for {channels} channels in {dates} '
                f'date(s); give {channels // dates} (one per band) or {channels}.'
            )
        return torch.tensor(values).view(-1, 1, 1)

    def _target(self, images: Sequence[Tensor], training: bool) -> tuple[int, int] | None:
        """(height, width) to pad to; ``None`` = not at all."""
        sizes = [tuple(image.shape[-2:]) for image in images]
        padding = self.training_padding if training else self.test_padding
        if not training and not padding:
            if len(set(sizes)) > 1:
                raise ValueError(f'{type(self).__name__}: images of one evaluated batch must have one size; {sizes}.')
            return None
        height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
        if padding.get('size') is not None:
            return max(int(padding['size'][0]), height), max(int(padding['size'][1]), width)
        divisor = int(padding.get('size_divisor') or 1)
        return -(-height // divisor) * divisor, -(-width // divisor) * divisor

    def _pad_sample(self, sample: Any, shape: Sequence[int], target: Sequence[int], training: bool) -> None:
        """Pad the label maps in training, and say what was padded; models crop their predictions by it."""
        padding = (0, target[1] - shape[1], 0, target[0] - shape[0])
        if training:
            maps = {key: value.data for key, value in sample.items() if key.startswith('gt_') and _is_map(value)}
            for key, label in maps.items():  # two names may stand for one map: each is padded from what it was
                sample.set_data({key: PixelData(data=F.pad(label, padding, value=self.seg_pad_val))})
            sample.set_metainfo({'img_shape': tuple(shape), 'padding_size': padding})
        else:
            sample.set_metainfo({'img_padding_size': padding})
        sample.set_metainfo({'pad_shape': tuple(target)})


def _is_map(value: Any) -> bool:
    """Whether a field of a sample is a map over the image."""
    return isinstance(value, PixelData) and 'data' in value


def _padding(image: Tensor, target: Sequence[int]) -> tuple[int, int, int, int]:
    """Right and bottom padding of an image."""
    return 0, target[1] - image.shape[-1], 0, target[0] - image.shape[-2]
