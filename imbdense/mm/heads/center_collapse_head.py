"""``imbdense.CenterCollapseHead``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.losses import center_collapse_loss
from imbdense.core.regions import class_pixels_per_cell, region_means
from imbdense.core.representation import simplex_etf
from imbdense.core.stats import ClassCounts, PriorLedger, RunningClassStats
from imbdense.mm.class_counts import ClassCountsSource, class_counts_of
from imbdense.registry import MODELS

VERSIONS = {'etf': dict(scale=5.0, smooth=1.0, loss_weight=0.8), 'linear': dict(scale=1.0, smooth=0.5, loss_weight=1.0)}
"""Published settings of the two classifiers."""


@MODELS.register_module()
class CenterCollapseHead(BaseModule):
    """Auxiliary head that makes the mean features of all classes point apart, each class counting once.

    For every class in the batch: mean of a 128-channel projection over its pixels -> random two-layer network -> unit
    length -> ``scale`` times the cosines to a fixed simplex ETF -> cross-entropy shifted by the log image frequencies;
    see :func:`imbdense.core.losses.center_collapse_loss`. A class of ten pixels weighs as much as the background. As
    published, projection, network and classifier are random and frozen: only the features below learn. Not used at
    test time. Use it as ``auxiliary_head`` beside others; it sees the features of the backbone (or neck).

    State: the frozen weights and the frame are saved; running image counts when nobody gave counts (all-reduced,
    frozen in eval). The centres are those of the rank's own batch, as published.

    Args:
        in_channels: channels of the feature map.
        num_classes: K.
        in_index: which feature map of the backbone or neck.
        frame: 'etf', or 'linear' = a frozen random linear layer with bias, without the unit length.
        class_counts: image counts: list, path or content of a ``class_counts.json``; ``None`` = those of
            ``ClassCountHook``, or what was seen so far.
        count: unit to take from a file or the hook.
        scale: of the cosines; ``None`` = 5 ('etf') or 1 ('linear').
        smooth: target of the own class; ``None`` = 1 ('etf') or 0.5 ('linear').
        loss_weight: ``None`` = 0.8 ('etf') or 1 ('linear').
        mode: 'down' counts the labels per feature cell; 'up' enlarges the projection to the label size, as published
            (slow, for comparison).
        channels, hidden: widths of the projection and of the random network; ``hidden`` >= K - 1.
        frozen_proj: ``False`` lets projection and network learn.
        dropout_ratio: in front of the classifier, behind the unit length.
        norm_cfg: of the projection (1 x 1 convolution and norm, no activation).
        align_corners: of the enlarging; ``True`` as published.
        ignore_index: label value that counts nothing.
        loss_name: key in the loss dict; must contain 'loss'.
        seed: of the frame.
    """

    card = 'center_collapse'
    tasks = ('segmentation',)

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        in_index: int = -1,
        frame: str = 'etf',
        class_counts: ClassCountsSource | None = None,
        count: str = 'images',
        scale: float | None = None,
        smooth: float | None = None,
        loss_weight: float | None = None,
        mode: str = 'down',
        channels: int = 128,
        hidden: int = 512,
        frozen_proj: bool = True,
        dropout_ratio: float = 0.1,
        norm_cfg: dict[str, Any] | None = None,
        align_corners: bool = True,
        ignore_index: int = 255,
        loss_name: str = 'loss_center_collapse',
        seed: int = 0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=owner)
        self.in_index = in_index
        self.align_corners = align_corners
        self.ignore_index = ignore_index
        settings = VERSIONS[check_choice('frame', frame, tuple(VERSIONS), owner=owner)]
        self.mode = check_choice('mode', mode, ('down', 'up'), owner=owner)
        self.scale = check_number('scale', settings['scale'] if scale is None else scale, low=0.0, owner=owner)
        self.smooth = check_number(
            'smooth', settings['smooth'] if smooth is None else smooth, low=0.0, high=1.0, low_open=True, owner=owner
        )
        self.loss_weight = check_number(
            'loss_weight', settings['loss_weight'] if loss_weight is None else loss_weight, low=0.0, owner=owner
        )
        check_integer('hidden', hidden, low=max(num_classes - 1, 1), owner=owner)
        if 'loss' not in loss_name:
            raise ValueError(f"{owner}: loss_name must contain 'loss', or it is not trained, but is {loss_name!r}.")
        self.loss_name = loss_name
        self.count = count
        self.projection = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg or dict(type='BN'), act_cfg=None)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout_ratio)
        self.unit_length = frame == 'etf'
        vectors, bias = (
            (simplex_etf(num_classes, hidden, seed).float().T, None) if frame == 'etf'
            else random_linear(num_classes, hidden, seed)
        )
        self.register_buffer('vectors', vectors.contiguous())
        self.register_buffer('bias', bias)
        if frozen_proj:
            self.projection.requires_grad_(False)
            self.mlp.requires_grad_(False)
        self.running = RunningClassStats(num_classes)
        given = None if class_counts is None else class_counts_of(class_counts, count, owner)
        if given is not None and given.numel() != num_classes:
            raise ValueError(f'{owner}: class_counts has {given.numel()} entries for {num_classes} classes.')
        self._counts: Tensor | None = given
        self._given = given is not None

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Take the image counts of ``ClassCountHook``, unless ``class_counts`` were given.

        The ledger stays as it is: this term shifts its own logits, not those of the main head.
        """
        if not self._given:
            self._counts = torch.as_tensor(counts.of(self.count), dtype=torch.float64)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Projected features (N, channels, h, w)."""
        return self.projection(inputs[self.in_index])

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: Any, train_cfg: Any) -> dict[str, Tensor]:
        """What mmseg calls: the one term of this head; 0 with a graph when the batch has no labelled pixel."""
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
        features = self.forward(inputs)
        if self.mode == 'up':
            size = tuple(target.shape[-2:])
            features = F.interpolate(features.float(), size, mode='bilinear', align_corners=self.align_corners)
        centres, labels, _ = region_means(
            features, target, self.num_classes, ignore_index=self.ignore_index, per='batch'
        )
        value = center_collapse_loss(self._classify(centres), labels, self._prior(target), smooth=self.smooth)
        return {self.loss_name: self.loss_weight * value}

    def _classify(self, centres: Tensor) -> Tensor:
        """(R, K) logits of the centres (R, channels)."""
        with torch.autocast(centres.device.type, enabled=False):
            hidden = self.mlp(centres)
            if self.unit_length:
                hidden = F.normalize(hidden, dim=1)
            return self.scale * F.linear(self.dropout(hidden), self.vectors, self.bias)

    def _prior(self, target: Tensor) -> Tensor:
        """(K,) image frequencies, normalised. A class not seen so far counts one image: with none, no centre would
        ever be compared with it."""
        if self._counts is None:
            self._count_images(target)
            return self.running.prior()
        counts = self._counts.to(target.device)
        return counts / counts.sum()

    def _count_images(self, target: Tensor) -> None:
        """Add the images of this batch that hold each class."""
        pixels = class_pixels_per_cell(target, self.num_classes, torch.Size((1, 1)), ignore_index=self.ignore_index)
        present = pixels.flatten(1) > 0
        classes = torch.arange(self.num_classes, device=target.device)
        self.running.update(torch.where(present, classes, -1), ignore_index=-1)


def random_linear(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weight (rows, columns) and bias (rows,) as ``nn.Linear`` begins with: uniform in +-columns^-1/2."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(rows, columns + 1, generator=generator).mul_(2).sub_(1) / columns**0.5
    return drawn[:, :columns], drawn[:, columns].clone()
