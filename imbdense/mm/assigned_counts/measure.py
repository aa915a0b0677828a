"""Count the samples of all heads of a model over a data set: several ranks, a cache, a subset of the images."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch.distributed as dist
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from imbdense.core.stats import AssignedCounts
from imbdense.mm.assigned_counts.cache import CountCache
from imbdense.mm.assigned_counts.class_layers import ClassLayer
from imbdense.mm.assigned_counts.counters import CountedHeads, make_counters
from imbdense.mm.assigned_counts.fingerprint import dataset_digest, key_of
from imbdense.mm.assigned_counts.images import REAL_IMAGES, ImageSource
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.reproducible import seeded_generators
from imbdense.utils.distributed import gather_objects, rank_and_world, sum_over_ranks


def measure(
    model: Any,
    layers: list[ClassLayer],
    dataset: Any,
    *,
    draw_rates: NDArray[np.float64] | None = None,
    max_images: int | None = None,
    cache: bool = True,
    seed: int = 0,
) -> dict[str, AssignedCounts]:
    """Return path of a head -> the samples its loss learns each class from, over the training set.

    Every image is taken as the training pipeline leaves it (one draw of its random transforms) and handed to the
    head's own assigner; no network runs and, unless :class:`ImageSource` says why, no image is decoded.
    **Collective:** every rank must call it with the same arguments; each counts its share of the images, and an error
    of one rank is raised on all.

    Args:
        model: an mmdet detector, unwrapped.
        layers: of :func:`~imbdense.mm.assigned_counts.class_layers.find_class_layers`.
        dataset: the training set.
        draw_rates: (M,) how often the sampler draws each image; ``None`` = equally often.
        max_images: count at most this many, spread over the data set; the standard error is then not 0.
        cache: keep the result beside the annotations. The key holds the annotations, the transforms, anchors,
            assigners and samplers, so that a change of any of them is counted anew.
        seed: of the random transforms and samplers.

    Raises:
        TypeError: a head whose samples can not be counted; see :func:`make_counters`.
        RuntimeError: counting failed on another rank.
    """
    heads = make_counters(model, layers)
    source = ImageSource(dataset)
    wanted = min(max_images or len(source), REAL_IMAGES if source.real else len(source), len(source))
    first = rank_and_world()[0] == 0
    store = None
    if cache:
        parts = [dataset_digest(dataset), source.transforms, draw_rates, wanted, seed]
        parts += [[layer.path, counted.counter.signature()] for counted in heads for layer in counted.layers]
        store = CountCache(dataset, key_of(*parts))
        hit = _from_rank_zero(store.load() if first else None)
        if hit is not None:
            return hit
    found = _count(heads, source, draw_images(len(source), wanted, draw_rates, seed), dataset_classes(dataset), seed)
    if store is not None and first:
        store.save(found)
    return found


def draw_images(images: int, wanted: int, rates: NDArray[np.float64] | None, seed: int) -> NDArray[np.int64]:
    """Return ``wanted`` indices of ``images``, each as often as its rate says (systematic sampling in random order).

    With equal rates and ``wanted == images`` every image comes exactly once.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(images)
    weights = np.ones(images) if rates is None else np.asarray(rates, np.float64)[order]
    edges = np.cumsum(weights) / weights.sum() * wanted
    points = np.arange(wanted) + generator.random()
    return order[np.minimum(np.searchsorted(edges, points, side='right'), images - 1)]


def _count(
    heads: list[CountedHeads], source: ImageSource, indices: NDArray[np.int64], classes: tuple[str, ...], seed: int
) -> dict[str, AssignedCounts]:
    """Count this rank's share, add up, and say how fast it went."""
    rank, world = rank_and_world()
    logger, start = MMLogger.get_current_instance(), time.perf_counter()
    if source.real:
        logger.warning(
            f'counting assigned samples on {len(indices)} of {len(source)} images, which are decoded, because '
            f'{source.real}.'
        )
    tables, error = {}, ''
    try:
        tables = _share(heads, source, [(k, int(indices[k])) for k in range(rank, len(indices), world)], seed)
    except Exception as problem:
        if world == 1:
            raise
        error = f'rank {rank}: {type(problem).__name__}: {problem}'
    errors = [text for text in gather_objects(error) if text]
    if errors:
        raise RuntimeError(f'counting assigned samples failed on {"; ".join(errors)}')
    tables = sum_over_ranks(tables)
    seconds = time.perf_counter() - start
    images = int(tables['images'][0])
    logger.info(
        f'counted the assigned samples of {images} images in {seconds:.1f} s '
        f'({images / max(seconds, 1e-9):.0f} images/s on {world} process{"es" if world > 1 else ""})'
    )
    found = {}
    for number, counted in enumerate(heads):
        names = classes if counted.counter.classes == len(classes) else _binary_names(counted, classes)
        for row, layer in enumerate(counted.layers):
            found[layer.path] = AssignedCounts.from_moments(
                names, tables[f'{number}.totals'][row], tables[f'{number}.moments'][row], images, len(source),
                counted.source,
            )  # fmt: skip
    return found


def _share(
    heads: list[CountedHeads], source: ImageSource, own: list[tuple[int, int]], seed: int
) -> dict[str, NDArray[np.int64]]:
    """Sums over the (position, index) pairs of one rank: totals (heads, C + 1), moments (heads, 3), images (1,)."""
    tables = {'images': np.zeros(1, np.int64)}
    for number, counted in enumerate(heads):
        rows = len(counted.layers)
        tables[f'{number}.totals'] = np.zeros((rows, counted.counter.classes + 1), np.int64)
        tables[f'{number}.moments'] = np.zeros((rows, 3), np.int64)
    for position, index in own:
        image = source.draw(index, seed, position)
        if image is None:  # training takes another image instead
            continue
        tables['images'] += 1
        for number, counted in enumerate(heads):
            with seeded_generators(seed, position, 1):  # the same draws whichever other heads are counted
                counts = counted.counter.count(image)
            foreground, everything = counts[:, :-1].sum(1), counts.sum(1)
            tables[f'{number}.totals'] += counts
            tables[f'{number}.moments'] += np.stack(
                [foreground * foreground, foreground * everything, everything * everything], axis=1
            )
    return tables


def _binary_names(counted: CountedHeads, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Class names of a head that does not have those of the data set: ('object',) for an RPN.

    Raises:
        ValueError: it has neither one class nor as many as the data set.
    """
    if counted.counter.classes == 1:
        return ('object',)
    raise ValueError(
        f'{counted.layers[0].dotted} has {counted.counter.classes} classes, the data set has {len(classes)}: '
        f'{list(classes)}. Set num_classes={len(classes)} in its config, or another metainfo.'
    )


def _from_rank_zero(value: Any) -> Any:
    """What rank 0 has, on every rank."""
    if rank_and_world()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
