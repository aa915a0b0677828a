"""The counts of a training run: measured once, published in the message hub, kept in checkpoints."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from imbdense.core.stats import AssignedCounts, PriorLedger
from imbdense.mm.assigned_counts.class_layers import ClassLayer, unwrap
from imbdense.mm.assigned_counts.measure import measure
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import is_detection
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.prior import HUB_ASSIGNED, HUB_LEDGER, META_KEY, sampler_of

_memory: weakref.WeakKeyDictionary[Any, tuple[int, dict[str, AssignedCounts]]] = weakref.WeakKeyDictionary()


def run_counts(
    runner: Any, layers: list[ClassLayer], *, max_images: int | None = None, cache: bool = True, seed: int = 0
) -> dict[str, AssignedCounts]:
    """Return path of a head -> its counts on the training set of ``runner``, and publish them in the message hub.

    Detection heads: see :func:`~imbdense.mm.assigned_counts.measure.measure`. ``conv_seg``: pixels, as the ledger of
    :class:`~imbdense.mm.hooks.ClassCountHook` says that sampler and crops leave them, else as labelled. Query heads
    of segmentors: one query per class and image. Several hooks may ask; what one has measured the next is given.
    **Collective** over ranks.

    Raises: as :func:`~imbdense.mm.assigned_counts.measure.measure`; ``NoForegroundError`` for a head without any
    foreground.
    """
    loader = runner.train_dataloader
    model, dataset = unwrap(runner.model), loader.dataset
    known = _memory.get(model)
    found = dict(known[1]) if known is not None and known[0] == id(dataset) else {}
    missing = [layer for layer in layers if layer.path not in found]
    if missing and is_detection(next(leaves(dataset))):
        sampler = sampler_of(loader)
        rates = np.asarray(sampler.draw_rates(), np.float64) if hasattr(sampler, 'draw_rates') else None
        found.update(
            measure(model, missing, dataset, draw_rates=rates, max_images=max_images, cache=cache, seed=seed)
        )
    elif missing:
        found.update({layer.path: _segmentation(runner, layer, dataset) for layer in missing})
    for layer in layers:
        found[layer.path].require_foreground(layer.dotted)
    _memory[model] = (id(dataset), found)
    _publish(runner, found)
    return {layer.path: found[layer.path] for layer in layers}


def published_counts(runner: Any) -> dict[str, AssignedCounts]:
    """Path of a head -> its counts, as this run measured them or the loaded checkpoint brought them."""
    return _from_record(runner.message_hub.runtime_info.get(HUB_ASSIGNED))


def checkpoint_counts(checkpoint: dict[str, Any]) -> dict[str, AssignedCounts]:
    """Path of a head -> its counts in a loaded checkpoint; empty when it was trained without them."""
    meta = checkpoint.get('meta')
    kept = meta.get(META_KEY) if isinstance(meta, dict) else None
    return _from_record((kept or {}).get('assigned_counts'))


def keep_in_checkpoint(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Put the published counts into the checkpoint's meta, which also published checkpoints keep."""
    if HUB_ASSIGNED in runner.message_hub.runtime_info:
        kept = checkpoint['meta'].setdefault(META_KEY, {})
        kept['assigned_counts'] = runner.message_hub.runtime_info[HUB_ASSIGNED]


def restore_from_checkpoint(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Publish the counts of a checkpoint, for components that act at test time."""
    counts = checkpoint_counts(checkpoint)
    if counts:
        _publish(runner, counts)


def _publish(runner: Any, counts: dict[str, AssignedCounts]) -> None:
    """Put counts into the message hub, as plain data."""
    runner.message_hub.update_info(HUB_ASSIGNED, {path: item.to_dict() for path, item in counts.items()})


def _from_record(record: dict[str, Any] | None) -> dict[str, AssignedCounts]:
    """Counts of their plain data."""
    return {path: AssignedCounts.from_dict(counts) for path, counts in (record or {}).items()}


def _segmentation(runner: Any, layer: ClassLayer, dataset: Any) -> AssignedCounts:
    """Pixels per class of a decode head, or matched queries per class of a query head."""
    counts = class_counts(dataset)
    if layer.name == 'conv_seg':
        pixels = counts.of('pixels')
        ledger = runner.message_hub.runtime_info.get(HUB_LEDGER)
        if ledger is not None:
            seen = PriorLedger.from_dict(ledger)
            pixels = np.round(seen.seen_prior * pixels.sum()).astype(np.int64)
        return AssignedCounts(counts.classes, pixels, 0, counts.num_images, counts.num_images, 0.0, 'pixels')
    matched = counts.of('images')
    queries = int(layer.head.num_queries) * counts.num_images
    return AssignedCounts(
        counts.classes, matched, max(queries - int(matched.sum()), 0), counts.num_images, counts.num_images, 0.0,
        f'{type(layer.head).__name__}, one query per class and image',
    )  # fmt: skip
