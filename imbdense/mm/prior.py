"""The class distribution of a training run, followed through data set, sampler and transforms into a PriorLedger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.stats import ClassCounts, ImageClassTable, PriorLedger
from imbdense.mm.class_counts import default_unit
from imbdense.mm.dataset_wrappers import children, leaves, own_indices
from imbdense.mm.reproducible import seeded_generators

HUB_COUNTS = 'imbdense_class_counts'
HUB_LEDGER = 'imbdense_prior_ledger'
HUB_ASSIGNED = 'imbdense_assigned_counts'
META_KEY = 'imbdense'
"""Where a run keeps counts, ledger and assigned samples: keys of mmengine's message hub, and
``checkpoint['meta'][META_KEY]``."""


@dataclass(frozen=True)
class ImageObjects:
    """The annotated objects of one image: boxes (n, 4) pixels x1, y1, x2, y2; labels (n,); shape (height, width)."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    shape: tuple[int, int]


@dataclass(frozen=True)
class PriorContext:
    """What a transform's ``prior_effect(context)`` gets to estimate the class amounts it leaves.

    Attributes:
        table: amounts per image and class of the training set (pixels or objects).
        draws: (I,) expected draws of each image per epoch, as the sampler says.
        load_label: index -> (H, W) index mask of that image, as the transforms before see it.
        load_objects: index -> the objects of that image that are not ignored, as annotated.
        seed: for whatever is sampled, so that every rank and every run gets the same estimate.
        load_sample: index -> the sample with all its label maps, where ``load_label`` stops.
    """

    table: ImageClassTable
    draws: NDArray[np.float64]
    load_label: Callable[[int], NDArray[Any]]
    load_objects: Callable[[int], ImageObjects]
    seed: int
    load_sample: Callable[[int], dict[str, Any]] | None = None


def build_ledger(
    counts: ClassCounts,
    table: ImageClassTable,
    dataset: Any,
    sampler: Any,
    *,
    unit: str | None = None,
    seed: int = 0,
    elements: Sequence[Any] = (),
    steps: Sequence[Any] = (),
    drawer: str | None = None,
) -> tuple[PriorLedger, list[str]]:
    """Return the ledger of the data components, and the names of components whose effect is unknown.

    Each component says which amounts per class it leaves. Only the *ratio* to what it was given is used, so the
    ledger may be in another unit (images, regions) than the table (pixels or objects)::

        prior <- prior * amounts after / amounts before

    Args:
        counts: of the training labels, as often as wrappers repeat them.
        table: the same labels per image; its index is the index the sampler draws.
        dataset: its transforms (also inside wrappers) with ``prior_effect(context) -> (C,)`` are asked in order.
        sampler: asked for ``prior_effect(table) -> (C,)`` and ``draw_rates() -> (I,)`` when it has them.
        unit: unit of the ledger; default pixels if counted, else instances.
        seed: of the :class:`PriorContext`.
        elements: samplers inside the model, see :func:`imbdense.mm.element_samplers.element_samplers`.
        steps: what the model does to its input before a loss sees it (a preprocessor that makes voxels); asked like
            the transforms, after them.
        drawer: what drew the windows of rasters that ``table`` holds; its effect is the difference to ``counts``.
    """
    unit = unit or default_unit(counts)
    ledger = PriorLedger(counts.classes, counts.of(unit), source=f'training labels ({counts.word(unit)})')
    before = np.asarray(table.totals, dtype=np.float64)
    unknown: list[str] = []
    if drawer is not None:
        area = np.asarray(counts.of('pixels'), np.float64)
        window = before.sum() / max(len(table), 1)  # one more, as the area is: a class that no window met stays known
        _declare(ledger, drawer, area, before + window * area / max(area.sum(), 1.0))
    draws = np.ones(len(table))
    if hasattr(sampler, 'prior_effect'):
        draws = np.asarray(sampler.draw_rates(), dtype=np.float64)
        _declare(ledger, type(sampler).__name__, before, np.asarray(sampler.prior_effect(table), dtype=np.float64))
    elif type(sampler).__name__ not in UNIFORM_SAMPLERS:
        unknown.append(type(sampler).__name__)
    given = table.expected_totals(draws)
    for transform in (*prior_transforms(dataset), *steps):
        context = PriorContext(
            table,
            draws,
            load_label=lambda index: load_label(dataset, index, seed),
            load_objects=lambda index: load_objects(dataset, index),
            seed=seed,
            load_sample=partial(load_sample, dataset, seed=seed, before=transform),
        )
        _declare(ledger, type(transform).__name__, given, np.asarray(transform.prior_effect(context), np.float64))
    for element in elements:
        factors = element.sampling_factors(table, draws, ledger.seen_prior)
        if factors is None:
            unknown.append(type(element).__name__)
        else:
            ledger.declare(type(element).__name__, ledger.seen_prior * factors)
    return ledger, unknown


def sampler_of(loader: Any) -> Any:
    """The index sampler of a data loader, also behind a batch sampler."""
    sampler = getattr(loader, 'sampler', None)
    inner = getattr(getattr(loader, 'batch_sampler', None), 'sampler', None)
    return inner if inner is not None else sampler


UNIFORM_SAMPLERS = ('DefaultSampler', 'InfiniteSampler', 'SequentialSampler', 'RandomSampler', 'NoneType')
"""Samplers that draw every image equally often."""


def prior_transforms(dataset: Any) -> Iterator[Any]:
    """Yield the transforms that declare an effect, in the order they act, also inside wrappers and sub-pipelines."""
    # Of joined data sets only the first is asked: they share one purpose, and each asked would count it once more.
    base = next(leaves(dataset))
    yield from _walk(getattr(base, 'pipeline', None))
    if base is not dataset:
        yield from _walk(getattr(dataset, 'pipeline', None))


def load_label(dataset: Any, index: int, seed: int = 0) -> NDArray[Any]:
    """Return the (H, W) index mask of image ``index``, see :func:`load_sample`."""
    return np.asarray(load_sample(dataset, index, seed)['gt_seg_map'])


def load_sample(dataset: Any, index: int, seed: int = 0, before: Any = None) -> dict[str, Any]:
    """Return the sample of image ``index`` with its label maps: the pipeline is run up to where ``gt_seg_map`` is.

    Of a point cloud (``gt_semantic``) the transforms that prepare whole scenes (``whole_scene``) are run as far as the
    transform ``before``; crops and whatever draws are left out, because each declares its own effect.

    What that part of the pipeline draws (a random window of a raster) depends on (seed, index) alone, and the global
    generators are left as they were: the estimate is the same on every rank and changes nothing of the training.

    Raises:
        TypeError: the pipeline never makes ``gt_seg_map`` (a detection data set).
    """
    base, local = locate(dataset, index)
    results = base.get_data_info(local)
    if 'gt_seg_map' in results:  # windows of rasters come with their labels
        return dict(results)
    with seeded_generators(seed, index):
        for transform in base.pipeline.transforms:
            if transform is before:
                break
            if 'gt_semantic' in results and not getattr(transform, 'whole_scene', False):
                continue
            results = transform(results)
            if results is None:
                break
            if 'gt_seg_map' in results:
                return dict(results)
    if results is not None and 'gt_semantic' in results:
        return dict(results)
    raise TypeError(
        f'{type(base).__name__}: no transform of the pipeline loads gt_seg_map or gt_semantic for image {index}.'
    )


def load_objects(dataset: Any, index: int) -> ImageObjects:
    """Return the annotated objects of image ``index`` without the ignored ones.

    Raises:
        TypeError: the data set has no ``instances`` with boxes (a segmentation data set).
    """
    base, local = locate(dataset, index)
    info = base.get_data_info(local)
    if 'instances' not in info:
        raise TypeError(f'{type(base).__name__}: image {index} has no instances; this is no detection data set.')
    real = [instance for instance in info['instances'] if not instance.get('ignore_flag')]
    boxes = np.array([instance['bbox'] for instance in real], np.float32).reshape(-1, 4)
    labels = np.array([instance['bbox_label'] for instance in real], np.int64)
    return ImageObjects(boxes, labels, (int(info['height']), int(info['width'])))


def declared_ledger(checkpoint: dict[str, Any]) -> PriorLedger | None:
    """Return the ledger stored in a checkpoint of mmengine, or ``None``."""
    record = (checkpoint.get('meta') or {}).get(META_KEY, {}).get('prior_ledger')
    if record is None:
        record = ((checkpoint.get('message_hub') or {}).get('runtime_info') or {}).get(HUB_LEDGER)
    return None if record is None else PriorLedger.from_dict(record)


def _walk(pipeline: Any) -> Iterator[Any]:
    """Depth-first over Compose and wrapper transforms."""
    transforms = getattr(pipeline, 'transforms', None) or ()
    if hasattr(transforms, 'transforms'):  # a transform whose sub-pipeline is a Compose
        transforms = transforms.transforms
    for transform in transforms:
        if hasattr(transform, 'prior_effect'):
            yield transform
        elif not isinstance(transform, (list, tuple)):
            yield from _walk(transform)


def locate(dataset: Any, index: int) -> tuple[Any, int]:
    """The innermost data set that holds image ``index`` of a wrapped one, and its index there."""
    inner = children(dataset)
    while inner:
        own = own_indices(dataset)
        index = index if own is None else int(own[index])
        for child in inner:
            if index < len(child):
                dataset = child
                break
            index -= len(child)
        inner = children(dataset)
    return dataset, index


def _declare(ledger: PriorLedger, source: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> None:
    """Multiply the prior by what the component does to each class; classes it was not given keep their share."""
    if after.shape != before.shape:
        raise ValueError(f'{source}.prior_effect returned shape {after.shape}, expected {before.shape}.')
    ratio = np.where(before > 0, after / np.where(before > 0, before, 1.0), 1.0)
    ledger.declare(source, ledger.seen_prior * ratio)
