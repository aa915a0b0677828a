"""Reading labels and logits out of the sample dicts that mmseg's evaluation loop hands to a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from imbdense.core.metrics.confusion import LabelRangeError

CURES = {
    'gt_sem_seg': "The evaluated data set has no labels: add dict(type='LoadAnnotations') to its pipeline.",
    'pred_sem_seg': 'Is the model a segmentor whose predict() returns SegDataSample?',
    'seg_logits': 'The model must return logits: mmseg segmentors do (postprocess_result); a custom predict() may not.',
    'gt_sem_t': 'The labels of that date are missing: does the data set have label folders per date?',
    'pred_sem_t': 'The model must predict land cover at each date, as imbdense.SemanticChangeDetector does.',
}


def place_of(sample: Mapping[str, Any]) -> str:
    """The image file (of a cloud its file) of a sample, for messages and reports; '' when the sample does not say."""
    return str(sample.get('img_path') or sample.get('points_path') or sample.get('img_id') or '')


def field_of(sample: Mapping[str, Any], key: str, owner: str) -> Tensor:
    """Return ``sample[key]['data']``; ``KeyError`` that says which step should have put it there."""
    if key not in sample:
        raise KeyError(
            f"{owner}: the sample of {place_of(sample) or 'an unnamed image'} has no '{key}'. "
            f"{CURES.get(key.rstrip('0123456789'), '')}"
        )
    data: Tensor = sample[key]['data']
    return data


def logits_and_labels(
    sample: Mapping[str, Any], num_classes: int, ignore_index: int, owner: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (K, n), labels int64 (n,) and the mask of positions to count, on the device of the logits.

    Raises:
        ValueError: sizes differ. LabelRangeError: a label outside [0, num_classes); both name the image.
    """
    logits = field_of(sample, 'seg_logits', owner)
    labels = field_of(sample, 'gt_sem_seg', owner).reshape(-1).to(logits.device, torch.int64)
    logits = logits.reshape(logits.shape[0], -1)
    if logits.shape[0] not in (1, num_classes):
        raise ValueError(
            f'{owner}: the logits of {place_of(sample)} have {logits.shape[0]} channels but the data set has '
            f'{num_classes} classes; compare num_classes of the head with the class list.'
        )
    if logits.shape[1] != labels.numel():
        raise ValueError(
            f'{owner}: {place_of(sample)} has {logits.shape[1]} predicted positions but {labels.numel()} labels; were '
            f'the logits resized to the original size?'
        )
    valid = labels != ignore_index
    wrong = labels[valid & ((labels < 0) | (labels >= num_classes))]
    if wrong.numel():
        values = torch.unique(wrong)[:10].tolist()
        raise LabelRangeError('target', values, num_classes, ignore_index, place_of(sample))
    return logits, labels, valid
