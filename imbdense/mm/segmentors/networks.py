"""What a teacher-student segmentor asks of any segmentor of the host: class logits of a batch, in two halves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from imbdense.mm.logit_attachment import MASK_HEADS, SCORE_FLOOR


def class_logits(network: Any, images: Tensor, features: Any = None) -> Tensor:
    """(N, K, H, W) float32 class logits of the size of ``images``, with whatever graph and mode are in force.

    Class scores of MaskFormer heads in the log domain, so that their softmax is the normalised score.

    Args:
        network: a segmentor of mmseg.
        images: (N, C, H, W), preprocessed.
        features: what :meth:`extract_feat` gave, changed perhaps; ``None`` = computed here.
    """
    height, width = images.shape[-2:]
    meta = {
        'img_shape': (height, width), 'ori_shape': (height, width), 'pad_shape': (height, width),
        'padding_size': [0, 0, 0, 0],
    }  # fmt: skip
    metas = [dict(meta) for _ in range(images.shape[0])]
    with contextlib.nullcontext() if features is None else _given_features(network, features):
        logits = network.encode_decode(images, metas).float()
    return torch.log(logits + SCORE_FLOOR) if _gives_scores(network) else logits


def _gives_scores(network: Any) -> bool:
    """Whether the last head gives class scores instead of logits."""
    head = network.decode_head
    last = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    return any(cls.__name__ in MASK_HEADS for cls in type(last).__mro__)


@contextlib.contextmanager
def _given_features(network: Any, features: Any) -> Iterator[None]:
    """Let ``encode_decode`` of this network begin with ``features``, whichever heads follow."""
    object.__setattr__(network, 'extract_feat', lambda images: features)
    try:
        yield
    finally:
        del network.__dict__['extract_feat']
