"""Run a model once over a labelled data set and keep what it says, so that fitting and diagnosing take seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference import BoxCandidates, ImageObjects
from imbdense.data.outputs.store import OutputStore
from imbdense.mm.datasets.label_source import records_of
from imbdense.mm.inference.check_candidates import CHECKED_IMAGES, check_calibrated, check_masks, check_rescoring
from imbdense.mm.inference.detection_head import listen, to_candidates
from imbdense.mm.inference.finished_model import FinishedModel
from imbdense.mm.inference.head_facts import HeadFacts, find_head
from imbdense.mm.inference.mask_overlaps import listen_masks, mask_overlaps
from imbdense.mm.inference.pixel_records import pixel_record, pixels_per_class, segmentor_facts
from imbdense.utils.distributed import rank_and_world

SHARD_SIZE = 8

Progress = Callable[[int, int], None]
Record = dict[str, NDArray[Any]]


def save_outputs(
    finished: FinishedModel,
    folder: Path,
    *,
    max_images: int | None = None,
    seed: int = 0,
    workers: int = 0,
    progress: Progress | None = None,
) -> OutputStore:
    """Save the outputs that are not in ``folder`` yet and return the store.

    Segmentation: of every image up to 4096 drawn pixels per class with logits and weights, and the exact confusion
    table. Detection: the candidates of the class head before every cut; the first images are checked to give the
    model's own detections.

    Across ranks: rank r writes the shards r, r + world, ...; what is drawn depends on (seed, image) alone, so the
    folder is the same for any number of ranks. A run that was stopped goes on with the missing shards.

    Args:
        max_images: evenly spread over the data set; ``None`` = all.
        progress: called with (images done, images to do) by this rank.

    Raises:
        OutputsError: the folder holds something else.
        UnknownHeadError: the detector's post-processing cannot be repeated.
        ValueError: an image without labels, logits that do not fit the classes; the image is named.
    """
    chosen = spread(len(finished.dataset), max_images)
    detection = finished.task == 'detection'
    facts = detector_facts(finished) if detection else segmentor_facts(finished.model)
    _check_head(finished, facts)
    store = OutputStore.create(folder, _manifest(finished, chosen, seed, facts))
    rank, world = rank_and_world()
    todo = [shard for shard in store.missing() if shard % world == rank]
    total, done = sum(len(store.images_of(shard)) for shard in todo), 0
    record = _detection_records if detection else _segmentation_records
    places = [place for shard in todo for place in store.images_of(shard)]
    stream = record(finished, facts, [int(chosen[place]) for place in places], seed, workers)
    for shard in todo:
        records = []
        for _ in store.images_of(shard):
            records.append(next(stream))
            done += 1
            if progress is not None:
                progress(done, total)
        store.write(shard, records)
    return store


def spread(images: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of ``limit`` images evenly spread over ``images``."""
    if limit is None or limit >= images:
        return np.arange(images)
    return np.unique(np.linspace(0, images - 1, limit).round().astype(np.int64))


def _check_head(finished: FinishedModel, facts: dict[str, Any]) -> None:
    """The head and the data set must have the same number of classes."""
    classes = len(finished.classes)
    if facts['num_classes'] != classes:
        raise ValueError(
            f'the head has {facts["num_classes"]} classes, but the {finished.split} data set has {classes}: '
            f'{list(finished.classes)}. Compare num_classes with metainfo.classes.'
        )


def _manifest(
    finished: FinishedModel, chosen: NDArray[np.int64], seed: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """What was run on what."""
    infos = records_of(finished.dataset)
    return {
        'identity': {
            'task': finished.task,
            'checkpoint': finished.digest,
            'data': data_fingerprint([infos[index] for index in chosen]),
            'split': finished.split,
            'seed': seed,
            'head': facts,
            'pixels_per_class': pixels_per_class(facts['num_classes']),
        },
        'classes': list(finished.classes),
        'num_images': len(chosen),
        'shard_size': SHARD_SIZE,
        'checkpoint_file': str(finished.checkpoint),
    }


def data_fingerprint(infos: list[dict[str, Any]]) -> str:
    """16 digits that change with the images, their order and their annotations (label files: name and size)."""
    digest = hashlib.sha256()
    for info in infos:
        digest.update(Path(str(info.get('img_path', ''))).name.encode())
        label = info.get('seg_map_path')
        if label is not None:
            file = Path(label)
            digest.update(f'{file.name}:{file.stat().st_size if file.is_file() else -1}'.encode())
        for instance in info.get('instances', ()):
            digest.update(f'{instance["bbox_label"]}:{[round(float(v), 2) for v in instance["bbox"]]}'.encode())
    return digest.hexdigest()[:16]


def _segmentation_records(
    finished: FinishedModel, facts: dict[str, Any], indices: list[int], seed: int, workers: int
) -> Iterator[Record]:
    """One record per image."""
    ignore_index = int(getattr(finished.dataset, 'ignore_index', 255))
    for index, sample in finished.outputs(indices, workers):
        yield pixel_record(sample.to_dict(), facts, ignore_index, np.random.default_rng((seed, index)))


def detector_facts(finished: FinishedModel) -> dict[str, Any]:
    """Of the head; ``masks`` only where every object has a mask to compare with."""
    facts = find_head(finished.model)[1].to_dict()
    instances = [instance for info in records_of(finished.dataset) for instance in info['instances']]
    masked = bool(instances) and all(instance.get('mask') for instance in instances)
    return facts | {'masks': facts['masks'] and masked}


def _detection_records(
    finished: FinishedModel, facts: dict[str, Any], indices: list[int], seed: int, workers: int
) -> Iterator[Record]:
    """One record per image."""
    infos, head = records_of(finished.dataset), HeadFacts(**facts)
    checked: list[BoxCandidates] = []
    with contextlib.ExitStack() as stack:
        take = stack.enter_context(listen(finished.model))
        predict = stack.enter_context(listen_masks(finished.model)) if head.masks else None
        for index, sample in finished.outputs(indices, workers):
            info = infos[index]
            candidates = to_candidates(take(), image_objects(info), str(info.get('img_id', index)), head.channels)
            if len(checked) < CHECKED_IMAGES:
                check_rescoring(candidates, head, sample.pred_instances)
            if predict is not None:
                truth = [instance['mask'] for instance in info['instances']]
                found = mask_overlaps(candidates, truth, sample.ori_shape, predict)
                candidates = dataclasses.replace(candidates, mask_iou=found)
                if len(checked) < CHECKED_IMAGES:
                    check_masks(candidates, head, sample.pred_instances, truth)
            if len(checked) < CHECKED_IMAGES:
                checked.append(candidates)
                if len(checked) == min(CHECKED_IMAGES, len(indices)):
                    check_calibrated(checked, head, finished, indices[: len(checked)])
            yield candidates.to_arrays()


def image_objects(info: dict[str, Any]) -> ImageObjects:
    """The annotated objects of a record of mmdet, in pixels of the file."""
    instances = info['instances']
    return ImageObjects(
        np.array([instance['bbox'] for instance in instances], np.float32).reshape(-1, 4),
        np.array([instance['bbox_label'] for instance in instances], np.int64),
        np.array([bool(instance.get('ignore_flag', 0)) for instance in instances], bool),
    )
