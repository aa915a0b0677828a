"""Boxes and image sizes as the training pipeline leaves them, drawn without reading an image file.

The transforms are the data set's own, copied and run on a blank image of the annotated size, so whatever they do to
the geometry (random scales, flips, crops, padding) is done by the code that training runs. Loading, colour and packing
are left out. Where pixels decide (a transform that is not the host's or ours, masks that re-shape boxes, mosaics of
several images) the whole pipeline is run on real images instead, on a sample of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.mm.dataset_wrappers import children, leaves
from imbdense.mm.prior import locate
from imbdense.mm.reproducible import seeded_generators

REAL_IMAGES = 300
"""How many images are drawn where they must be decoded."""

LOADERS = {'LoadImageFromFile', 'LoadImageFromNDArray', 'LoadMultiChannelImageFromFiles', 'LoadGeoTiffWindow'}
COLOUR = {
    'PhotoMetricDistortion', 'Normalize', 'YOLOXHSVRandomAug', 'Corrupt', 'RandomGrayscale', 'ColorTransform', 'Color',
    'Brightness', 'Contrast', 'Sharpness', 'Solarize', 'SolarizeAdd', 'Posterize', 'Equalize', 'AutoContrast', 'Invert',
    'CutOut', 'RandomErasing',
}  # fmt: skip
KNOWN_PACKAGES = ('mmcv', 'mmdet', 'mmseg', 'mmengine', 'imbdense')
NEEDS_PIXELS = {'InstaBoost', 'RandomCenterCropPad'}


@dataclass(frozen=True)
class DrawnImage:
    """One training image without its pixels.

    Attributes:
        boxes: (n, 4) float32 x1, y1, x2, y2 in the transformed image.
        labels: (n,) int64.
        ignored: (m, 4) float32, crowds and difficult objects.
        shape: (height, width) before the data preprocessor pads.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor
    shape: tuple[int, int]


class ImageSource:
    """Draws :class:`DrawnImage` from a detection data set, also a wrapped one.

    Args:
        dataset: with mmdet's records (``instances``, ``height``, ``width``).

    Attributes:
        real: '' where blank images do; else the reason why images are decoded.
        transforms: the copied transforms of each innermost data set, in the order of
            :func:`~imbdense.mm.dataset_wrappers.leaves`; when images are decoded the originals, also of wrappers.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._bases = list(leaves(dataset))
        for base in self._bases:
            if hasattr(base, 'full_init'):
                base.full_init()
        self.real = ''
        self.transforms: list[list[Any]] = []
        try:
            self._require_plain_wrappers()
            self.transforms = [blank_pipeline(base) for base in self._bases]
        except PixelsNeeded as reason:
            self.real = str(reason)
            self.transforms = [_transforms_of(base) for base in (*self._bases, *_wrappers(dataset))]
        self._pipelines = {id(base): steps for base, steps in zip(self._bases, self.transforms)}

    def __len__(self) -> int:
        return len(self.dataset)

    def draw(self, index: int, seed: int, position: int) -> DrawnImage | None:
        """Image ``index`` with the random numbers of (seed, position); ``None`` where training would take another.

        The global generators are left as they were.
        """
        with seeded_generators(seed, position):
            return self._decoded(index) if self.real else self._blank(index)

    def _blank(self, index: int) -> DrawnImage | None:
        """Run the copied transforms on a blank image."""
        base, local = locate(self.dataset, index)
        results = base.get_data_info(local)
        shape = (int(results['height']), int(results['width']))
        results.update(img=np.zeros((*shape, 3), np.uint8), img_shape=shape, ori_shape=shape)
        for transform in self._pipelines[id(base)]:
            results = transform(results)
            if results is None:
                return None
        boxes, labels = _as_boxes(results['gt_bboxes']), torch.as_tensor(results['gt_bboxes_labels'])
        flags = torch.as_tensor(np.asarray(results['gt_ignore_flags'], bool))
        height, width = results['img'].shape[:2]
        return DrawnImage(boxes[~flags], labels[~flags].long(), boxes[flags], (height, width))

    def _decoded(self, index: int) -> DrawnImage:
        """Take what training would get."""
        sample = self.dataset[index]
        data = sample['data_samples']
        objects, ignored = data.gt_instances, data.get('ignored_instances')
        kept = torch.zeros(0, 4) if ignored is None or 'bboxes' not in ignored else _as_boxes(ignored.bboxes)
        return DrawnImage(_as_boxes(objects.bboxes), objects.labels.long(), kept, tuple(sample['inputs'].shape[-2:]))

    def _require_plain_wrappers(self) -> None:
        """Raise when a wrapper changes images itself, or a record has no size."""
        for wrapper in _wrappers(self.dataset):
            if getattr(wrapper, 'pipeline', None) is not None:
                raise PixelsNeeded(f'{type(wrapper).__name__} joins several images into one')
        for base in self._bases:
            if len(base) and not {'height', 'width'} <= set(base.get_data_info(0)):
                raise PixelsNeeded(f'the records of {type(base).__name__} hold no image size')


class PixelsNeeded(Exception):
    """The boxes can not be told without the image; the message says why."""


def blank_pipeline(base: Any) -> list[Any]:
    """Copies of the transforms of an innermost data set that act on boxes and image size.

    Raises:
        PixelsNeeded: a transform needs the image, or is of a package we do not know.
    """
    steps: list[Any] = []
    for transform in _transforms_of(base):
        for inner in _with_children(transform):
            _require_blank(inner)
        name = type(transform).__name__
        if name.startswith('Pack') or name in LOADERS | COLOUR:
            continue
        steps.append(_boxes_only(transform) if name == 'LoadAnnotations' else copy.deepcopy(transform))
    if not any(type(step).__name__ == 'LoadAnnotations' for step in steps):
        raise PixelsNeeded('no transform called LoadAnnotations loads the boxes')
    return steps


def _require_blank(transform: Any) -> None:
    """Raise when a transform can not do with a blank image."""
    name, package = type(transform).__name__, type(transform).__module__.split('.')[0]
    if package not in KNOWN_PACKAGES:
        raise PixelsNeeded(f'{name} of {package} is unknown')
    if name in NEEDS_PIXELS or getattr(transform, 'recompute_bbox', False) or getattr(transform, 'by_mask', False):
        raise PixelsNeeded(f'{name} looks at pixels or masks')


def _boxes_only(loader: Any) -> Any:
    """A copy of LoadAnnotations that reads no mask and no label image."""
    loader = copy.deepcopy(loader)
    loader.with_mask = loader.with_seg = False
    return loader


def _transforms_of(base: Any) -> list[Any]:
    """The transforms of a data set's pipeline, or of a wrapper's, which is a plain list."""
    pipeline = getattr(base, 'pipeline', None)
    return list(pipeline if isinstance(pipeline, list) else getattr(pipeline, 'transforms', None) or ())


def _with_children(transform: Any) -> Iterator[Any]:
    """A transform and those inside it (RandomChoice, RandomApply, Compose)."""
    yield transform
    inner = getattr(transform, 'transforms', ())
    for child in inner if isinstance(inner, (list, tuple)) else (inner,):
        yield from _with_children(child)


def _wrappers(dataset: Any) -> Iterator[Any]:
    """The data sets round the innermost ones."""
    inner = children(dataset)
    if inner:
        yield dataset
    for child in inner:
        yield from _wrappers(child)


def _as_boxes(boxes: Any) -> Tensor:
    """(n, 4) float32 of the host's box classes, arrays or tensors."""
    tensor = getattr(boxes, 'tensor', boxes)
    return torch.as_tensor(np.asarray(tensor), dtype=torch.float32).reshape(-1, 4)
