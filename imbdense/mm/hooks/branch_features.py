"""Look at single images of a training batch with branches, without leaving a trace in the model."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from imbdense.core.inference import ImageObjects
from imbdense.mm.views import SUPERVISED, Views, sort_into_branches

UNLABELLED = ('unsup_weak', 'unsup_teacher', 'unsup')


def branched(data_batch: Any) -> Any:
    """The batch in branches, where it mixes labelled samples and views of unlabelled ones; else as it is."""
    inputs = data_batch.get('inputs') if isinstance(data_batch, dict) else None
    mixed = isinstance(inputs, (list, tuple)) and any(isinstance(image, Views) for image in inputs)
    if not mixed:
        return data_batch
    branches = sort_into_branches(data_batch, SUPERVISED)
    return {key: {name: branch[key] for name, branch in branches.items()} for key in ('inputs', 'data_samples')}


def branch_items(data_batch: Any, branch: str) -> list[tuple[Any, Any]]:
    """(image tensor, data sample) of a branch; absent entries are left out.

    Raises:
        ValueError: the batch has no branches, or not this one.
    """
    inputs = data_batch.get('inputs') if isinstance(data_batch, dict) else None
    if not isinstance(inputs, dict):
        raise ValueError(
            'DatasetShiftHook: the batch has no branches. It needs semi-supervised data: imbdense.SemiDataset with '
            "imbdense.MultiViewSeg, or inputs and data_samples as dicts like {'sup': [...], 'unsup_weak': [...]}."
        )
    if branch not in inputs:
        raise ValueError(f'DatasetShiftHook: the batch has no branch {branch!r}; it has {sorted(inputs)}.')
    pairs = zip(inputs[branch], data_batch['data_samples'][branch], strict=True)
    return [(image, sample) for image, sample in pairs if image is not None and sample is not None]


def unlabelled_branch(data_batch: Any, labelled: str) -> str:
    """The weakly augmented unlabelled branch: the first known name, else the first that is not the labelled one."""
    names = [name for name in data_batch['inputs'] if name != labelled]
    found = next((name for name in UNLABELLED if name in names), names[0] if names else None)
    if found is None:
        raise ValueError(f'DatasetShiftHook: beside {labelled!r} the batch has no branch with unlabelled images.')
    return found


def single_batch(image: Any, sample: Any) -> dict[str, list[Any]]:
    """A test batch of one training image: predictions come back in the frame of the crop that was loaded."""
    copy = sample.clone()
    height, width = int(image.shape[-2]), int(image.shape[-1])
    shape = copy.metainfo.get('img_shape', (height, width))[:2]
    copy.set_metainfo({'img_shape': shape, 'ori_shape': shape, 'scale_factor': (1.0, 1.0), 'flip': False})
    return {'inputs': [image], 'data_samples': [copy]}


def image_key(sample: Any, number: int) -> int:
    """The same number for the same file on every rank and in every view; ``number`` without a file name."""
    path = sample.metainfo.get('img_path')
    if path is None:
        return number
    return int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:7], 'big')


def sample_objects(sample: Any) -> ImageObjects | None:
    """The annotated boxes of a sample of mmdet; ``None`` for segmentation."""
    found = getattr(sample, 'gt_instances', None)
    if found is None or 'bboxes' not in found:
        return None
    parts = [(found, False)]
    if 'ignored_instances' in sample and 'bboxes' in sample.ignored_instances:
        parts.append((sample.ignored_instances, True))
    boxes = [getattr(part.bboxes, 'tensor', part.bboxes).cpu().numpy().reshape(-1, 4) for part, _ in parts]
    labels = [part.labels.cpu().numpy() for part, _ in parts]
    ignored = [np.full(len(rows), flag) for rows, (_, flag) in zip(boxes, parts)]
    return ImageObjects(np.concatenate(boxes), np.concatenate(labels), np.concatenate(ignored))


@contextlib.contextmanager
def only_looking(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
