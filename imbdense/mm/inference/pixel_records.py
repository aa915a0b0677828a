"""What is saved of a segmentor's output on one image: drawn pixels with logits, and the exact confusion table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.inference import PixelSample, draw_pixels
from imbdense.core.inference.pixel_sample import border_distance, part_sizes
from imbdense.core.metrics.confusion import confusion_table
from imbdense.mm.logit_attachment import MASK_HEADS, SCORE_FLOOR
from imbdense.mm.metrics.dense_sample import field_of, logits_and_labels, place_of

OWNER = 'saved outputs'


def pixels_per_class(num_classes: int) -> int:
    """Pixels drawn per image and class: 4096, fewer with many classes so that an image stays at a few MB."""
    return max(512, min(4096, 2**17 // num_classes))


def segmentor_facts(model: nn.Module) -> dict[str, Any]:
    """What must be known of the head: number of classes, whether its output are class scores, the cut of a binary head.

    Raises:
        TypeError: the model has no decode head.
    """
    head: Any = getattr(model, 'decode_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    if head is None or not hasattr(head, 'num_classes'):
        raise TypeError(f'{type(model).__name__} has no decode_head with num_classes; it is no segmentor of mmseg.')
    scores = any(cls.__name__ in MASK_HEADS for cls in type(head).__mro__)
    channels = int(getattr(head, 'out_channels', head.num_classes))
    return {
        'num_classes': int(head.num_classes), 'scores': scores, 'channels': channels,
        'threshold': float(head.threshold) if channels == 1 else None,
    }  # fmt: skip


def pixel_record(
    sample: Mapping[str, Any], facts: Mapping[str, Any], ignore_index: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw pixels of one predicted image.

    The logit of a binary head (one channel) is stored as (0, z - log(t / (1 - t))) with t its threshold, so that the
    argmax is the head's own decision.
    """
    classes = int(facts['num_classes'])
    logits, labels, valid = logits_and_labels(sample, classes, ignore_index, OWNER)
    logits = class_logits(logits, facts)
    shape = tuple(field_of(sample, 'gt_sem_seg', OWNER).shape[-2:])
    flat = torch.where(valid, labels, -1).cpu().numpy()
    chosen, weight = draw_pixels(flat, classes, pixels_per_class(classes), rng)
    label = flat.reshape(shape)
    sizes, borders = part_sizes(label, classes).reshape(-1), border_distance(label, -1).reshape(-1)
    picked = logits[:, torch.from_numpy(chosen).to(logits.device)].T.float().cpu().numpy()
    table = confusion_table(
        field_of(sample, 'pred_sem_seg', OWNER).long(), field_of(sample, 'gt_sem_seg', OWNER), classes,
        ignore_index=ignore_index,
    )  # fmt: skip
    return {
        'logits': np.ascontiguousarray(picked, dtype=np.float32),
        'label': flat[chosen].astype(np.int16),
        'weight': weight,
        'size': sizes[chosen].astype(np.int32),
        'border': borders[chosen].astype(np.uint8),
        'table': table,
        'image_id': np.array(place_of(sample)),
    }


def class_logits(logits: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """(C, ...) logits whose softmax are the class probabilities, from what the host stores as ``seg_logits``."""
    if facts['scores']:
        logits = torch.log(logits.float().clamp_min(0) + SCORE_FLOOR)
    if logits.shape[0] == 1:  # the host has put probabilities here
        shifted = torch.logit(logits.float(), eps=1e-7) - logit(float(facts['threshold']))
        logits = torch.cat([torch.zeros_like(shifted), shifted])
    return logits


def logit(probability: float) -> float:
    """log(p / (1 - p))."""
    return math.log(probability / (1 - probability))


def read_sample(records: Iterator[dict[str, NDArray[Any]]]) -> tuple[PixelSample, NDArray[np.int64]]:
    """Join the records of a store: (sample, exact confusion tables (images, C, C)).

    Raises:
        ValueError: there is no labelled pixel.
    """
    parts, tables = [], []
    for image, record in enumerate(records):
        count = len(record['label'])
        parts.append(
            PixelSample(
                record['logits'], record['label'].astype(np.int64), record['weight'], np.full(count, image),
                record['size'].astype(np.int64), record['border'].astype(np.int64),
            )
        )  # fmt: skip
        tables.append(record['table'])
    return PixelSample.concat(parts), np.stack(tables)
