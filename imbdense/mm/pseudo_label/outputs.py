"""Run a finished model once over unlabelled images and keep what it says; a broken image is kept as its error."""

from __future__ import annotations

import hashlib
import io
import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from imbdense.data.outputs.store import OutputStore
from imbdense.mm.inference.pixel_records import segmentor_facts
from imbdense.mm.logit_attachment import SCORE_FLOOR
from imbdense.utils.distributed import rank_and_world

SHARD_SIZE = 8
LEVELS = 255
"""Confidence p of a pixel is kept as floor(255 p)."""

Record = dict[str, NDArray[Any]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageFile:
    """An image.

    Attributes:
        path: where it is. file_name: the same below the image folder of the round.
        name: of its result below the output folder, without suffix.
    """

    path: Path
    file_name: str
    name: str


def save_predictions(
    predictor: Any,
    images: Sequence[ImageFile],
    folder: Path,
    identity: dict[str, Any],
    progress: Progress,
    make: Callable[[ImageFile], Record] | None = None,
) -> OutputStore:
    """Predict every image that is not in ``folder`` yet.

    Across ranks: rank r takes the shards r, r + world, ...; the content does not depend on their number. A run that was
    stopped, also by ``kill -9``, goes on with the missing shards (8 images each).

    Args:
        predictor: a :class:`~imbdense.mm.predictor.Predictor`, or what has its ``model``, ``classes`` and ``sample``.
        make: what is kept of an image; default :func:`predict_record`.
        identity: what decides the predictions besides the images; see :class:`OutputStore`.
        progress: called with (images done, images to do) by this rank.

    Raises:
        OutputsError: the folder holds something else.
    """
    network = deciding_network(predictor.model)
    facts = segmentor_facts(network) if hasattr(network, 'decode_head') else None
    manifest = {
        'identity': {**identity, 'images': images_fingerprint(images)},
        'classes': list(predictor.classes), 'num_images': len(images), 'shard_size': SHARD_SIZE,
    }  # fmt: skip
    store = OutputStore.create(folder, manifest)
    rank, world = rank_and_world()
    todo = [shard for shard in store.missing() if shard % world == rank]
    total, done = sum(len(store.images_of(shard)) for shard in todo), 0
    for shard in todo:
        records = []
        for place in store.images_of(shard):
            records.append(_attempt(make or (lambda image: predict_record(predictor, image, facts)), images[place]))
            done += 1
            progress(done, total)
        store.write(shard, records)
    return store


def deciding_network(model: nn.Module) -> nn.Module:
    """The network that predicts: of a student and a teacher the one the config names, else the model itself."""
    network: nn.Module = getattr(model, 'predictor', model)
    return network


def _attempt(make: Callable[[ImageFile], Record], image: ImageFile) -> Record:
    """The record of an image, or the reason why there is none."""
    try:
        return make(image)
    except (torch.OutOfMemoryError, MemoryError):
        raise  # the next image would fail as well
    except Exception as error:  # a bad file can fail in any way; it is named in the report and the rest goes on
        reason = str(error).strip().splitlines() or [traceback.extract_tb(error.__traceback__)[-1].line or '']
        return {'error': np.array(f'{type(error).__name__}: {reason[0]}'[:500])}


def predict_record(predictor: Any, image: ImageFile, facts: dict[str, Any] | None) -> Record:
    """One image: boxes, or label and confidence as PNG."""
    sample = predictor.sample(image.path)
    if facts is None:
        return box_record(sample)
    label, confidence = label_and_confidence(sample, facts)
    return {
        'size': np.array(label.shape, np.int64),
        'label': png_bytes(label.cpu().numpy().astype(np.uint8)),
        'confidence': png_bytes((confidence * LEVELS).floor().cpu().numpy().astype(np.uint8)),
    }


def box_record(sample: Any) -> Record:
    """Boxes, labels and scores of a detector, best first."""
    found = sample.pred_instances
    order = torch.argsort(found.scores, descending=True, stable=True)
    boxes = getattr(found.bboxes, 'tensor', found.bboxes)
    return {
        'size': np.array(sample.ori_shape[:2], np.int64),
        'boxes': boxes[order].cpu().numpy().astype(np.float32).reshape(-1, 4),
        'labels': found.labels[order].cpu().numpy().astype(np.int64),
        'scores': found.scores[order].cpu().numpy().astype(np.float32),
    }


def label_and_confidence(sample: Any, facts: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """(H, W) predicted class and its probability: softmax; for one channel the sigmoid the host has put there; for
    MaskFormer the class scores divided by their sum."""
    label = sample.pred_sem_seg.data[0].long()
    logits = sample.seg_logits.data.float()
    if logits.shape[0] == 1:
        return label, torch.where(label == 1, logits[0], 1 - logits[0]).clamp(0, 1)
    logits = torch.log(logits.clamp_min(0) + SCORE_FLOOR) if facts['scores'] else logits
    return label, logits.softmax(0).gather(0, label[None])[0].clamp(0, 1)


def png_bytes(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey PNG as an array of bytes."""
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, 'PNG')
    return np.frombuffer(stream.getvalue(), np.uint8)


def png_array(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The array of :func:`png_bytes`."""
    with Image.open(io.BytesIO(data.tobytes())) as picture:
        return np.asarray(picture)


def readable(store: OutputStore, images: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, Record]]:
    """(image, record) of every image that could be predicted, in order."""
    for image, record in zip(images, store.records()):
        if 'error' not in record:
            yield image, record


def broken(store: OutputStore, images: Sequence[ImageFile]) -> dict[str, str]:
    """File -> reason of every image that could not be predicted."""
    return {
        str(image.path): str(record['error']) for image, record in zip(images, store.records()) if 'error' in record
    }


def images_fingerprint(images: Sequence[ImageFile]) -> str:
    """16 digits that change with the names of the images, their order and their sizes in bytes."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f'{image.name}:{image.path.stat().st_size if image.path.is_file() else -1}\n'.encode())
    return digest.hexdigest()[:16]


def config_digest(config: Any) -> str:
    """16 digits that change with the parts of a config that decide a prediction: model, test data, scope."""
    parts = {key: config.get(key) for key in ('model', 'test_dataloader', 'val_dataloader', 'default_scope')}
    plain = {key: value.to_dict() if hasattr(value, 'to_dict') else value for key, value in parts.items()}
    text = json.dumps(plain, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
