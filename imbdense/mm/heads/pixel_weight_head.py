"""The route of pixel weights into the losses of any decode head of mmseg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from imbdense.registry import MODELS


@MODELS.register_module()
class PixelWeightHead:
    """Weigh the loss of each pixel in any decode head of mmseg, whatever its losses.

    ``decode_head=dict(type='imbdense.PixelWeightHead', base=dict(type='FCNHead', ...))`` builds the base head and
    returns **that head**, so checkpoints and everything that knows it stay as they are. The maps come in the data
    samples (``seg_weight``, packed by ``imbdense.PackSegInputsWithWeight``); one without a map weighs 1 everywhere.

    They take the way of the host's pixel samplers: ``loss(pred, target, weight=map)``. A sampler of the head (OHEM,
    ``imbdense.PixelBalancedSampler``) is multiplied with. All losses of imbdense and the host's cross-entropy multiply
    the loss of each pixel and keep their divisor, so a weight of 1/2 halves the pull of a pixel. A batch without any
    map is the host's call, unchanged; a map of ones gives the same bits.

    Args:
        base: config of the head; all its options stay where they are.

    Raises:
        TypeError: ``base`` is not the config of a decode head of mmseg (mask classification heads are none); in
            training: the head never asks for pixel weights.
    """

    card = 'self_training'
    tasks = ('segmentation',)

    def __new__(cls, base: dict) -> nn.Module:  # type: ignore[misc]
        """Build the head and open the route."""
        if not isinstance(base, Mapping) or 'type' not in base:
            raise TypeError(f"PixelWeightHead: base must be the config of a head, base=dict(type='FCNHead', ...), but "
                            f'got {type(base).__name__}.')
        head = MODELS.build(ConfigDict(base))
        if not isinstance(head, BaseDecodeHead):
            raise TypeError(f'PixelWeightHead: {type(head).__name__} is no decode head of mmseg whose losses take '
                            f'pixel weights.')
        head.__class__ = weighted_class(type(head))
        return head


class PixelWeightMixin:
    """Hands the maps of a batch to the losses while ``loss_by_feat`` of the host's head runs."""

    def loss_by_feat(self, seg_logits: Any, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """The losses of the host's head, with each pixel's loss multiplied by its weight."""
        maps = batch_weights(batch_data_samples)
        if maps is None:
            return super().loss_by_feat(seg_logits, batch_data_samples)  # type: ignore[misc]
        sampler = _MapSampler(maps, self.sampler)  # type: ignore[attr-defined]
        with _shadowed(self, 'sampler', sampler):
            losses: dict[str, Tensor] = super().loss_by_feat(seg_logits, batch_data_samples)  # type: ignore[misc]
        if not sampler.asked:
            raise TypeError(f'PixelWeightHead: {type(self).__name__} never asks for pixel weights; its losses cannot '
                            f'be weighted. Use weight_unlabeled=1 with this head.')
        return losses


def batch_weights(samples: Sequence[Any]) -> Tensor | None:
    """(N, H, W) float32 weights of a batch at the size of its labels, ``None`` when no sample has a map.

    A sample without a map weighs 1; what a batch is padded with is ignored by its label, and weighs 0.
    """
    if not any('seg_weight' in sample for sample in samples):
        return None
    maps = []
    for sample in samples:
        label = sample.gt_sem_seg.data
        height, width = label.shape[-2:]
        if 'seg_weight' in sample:
            own = sample.seg_weight.data[0]
            maps.append(F.pad(own, (0, width - own.shape[-1], 0, height - own.shape[-2])))
        else:
            maps.append(torch.ones(height, width, dtype=torch.float32, device=label.device))
    return torch.stack(maps)


@cache
def weighted_class(host: type) -> type:
    """``host`` with :class:`PixelWeightMixin` in front of it; the same class for the same host."""
    return type(f'PixelWeight{host.__name__}', (PixelWeightMixin, host), {'__module__': __name__})


class _MapSampler:
    """What the host's heads call a pixel sampler: gives a weight to every pixel."""

    def __init__(self, maps: Tensor, own: Any) -> None:
        self.maps, self.own, self.asked = maps, own, False

    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """(N, H, W) the maps, times what the head's own sampler says."""
        self.asked = True
        return self.maps if self.own is None else self.maps * self.own.sample(seg_logit, seg_label)


@contextmanager
def _shadowed(module: Any, name: str, value: Any) -> Iterator[None]:
    """Let ``module.name`` be ``value``, in front of a sub-module of that name, without touching the state dict."""
    before = {name: module.__dict__[name]} if name in module.__dict__ else {}
    module.__dict__[name] = value
    try:
        yield
    finally:
        del module.__dict__[name]
        module.__dict__.update(before)
