"""``imbdense.PointSegHead``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.nn.sparse import SparsePoints
from imbdense.registry import MODELS

Config = Mapping[str, Any]


@MODELS.register_module()
class PointSegHead(BaseModule):
    """A linear classifier per voxel, and its losses: any classification loss of imbdense, or of mmseg.

    Losses are called with logits (V, C) and labels (V,), ``ignore_index=-1``; their sum per ``loss_name`` is what is
    trained. ``conv_seg`` is the classifier, under the name that hooks and converters know from mmseg's heads.

    Args:
        num_classes: C.
        in_channels: width of the backbone's features.
        loss_decode: config of one loss, or a list.
        dropout_ratio: of the features, in [0, 1).
        init_cfg: as in mmengine.
    """

    card = 'point_segmentor'
    tasks = ('points',)
    conformance_arguments = {
        'num_classes': 5, 'in_channels': 4, 'loss_decode': {'type': 'imbdense.BalancedSoftmaxLoss'}
    }  # fmt: skip
    ignore_index = -1

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss_decode: Config | Sequence[Config],
        dropout_ratio: float = 0.0,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(None if init_cfg is None else dict(init_cfg))
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner='PointSegHead')
        self.out_channels = self.num_classes
        self.in_channels = check_integer('in_channels', in_channels, low=1, owner='PointSegHead')
        ratio = check_number('dropout_ratio', dropout_ratio, low=0, high=1, owner='PointSegHead')
        self.dropout = nn.Dropout(ratio)
        self.conv_seg = nn.Linear(self.in_channels, self.num_classes)
        configs = [loss_decode] if isinstance(loss_decode, Mapping) else loss_decode
        self.loss_decode = nn.ModuleList(HOST_MODELS.build(dict(config)) for config in configs)

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Compare the classes with those of the training set, before any loss does.

        Raises:
            ValueError: another number of classes.
        """
        if counts.num_classes != self.num_classes:
            raise ValueError(
                f'PointSegHead: num_classes={self.num_classes}, but the training set has {counts.num_classes} classes '
                f'({", ".join(counts.classes[:5])}{", ..." if counts.num_classes > 5 else ""}). Set '
                f'model.decode_head.num_classes={counts.num_classes}, or mend classes and label_map of the data set.'
            )

    def forward(self, features: SparsePoints) -> Tensor:
        """(V, in_channels) -> logits (V, C)."""
        return self.conv_seg(self.dropout(features.feats))

    def loss(self, features: SparsePoints, labels: Tensor) -> dict[str, Tensor]:
        """The terms of all losses and ``acc_seg``, per cent of the labelled voxels that are right (0 without any).

        Args:
            features: (V, in_channels). labels: (V,) int64, -1 ignored.
        """
        logits = self(features)
        terms: dict[str, Tensor] = {}
        for loss in self.loss_decode:
            value = self._value(loss, logits, labels)
            terms[loss.loss_name] = terms.get(loss.loss_name, 0) + value
        with torch.no_grad():
            known = labels != self.ignore_index
            right = ((logits.argmax(1) == labels) & known).sum()
            terms['acc_seg'] = 100.0 * right / known.sum().clamp_min(1)
        return terms

    def _value(self, loss: nn.Module, logits: Tensor, labels: Tensor) -> Tensor:
        """One term; a loss that only knows maps (N, C, H, W) is named, with what to take instead."""
        try:
            value: Tensor = loss(logits, labels, ignore_index=self.ignore_index)
        except (RuntimeError, IndexError, AssertionError) as error:
            if type(loss).__module__.startswith('imbdense.') or 'out of memory' in str(error):
                raise
            raise ValueError(
                f'PointSegHead: {type(loss).__module__.split(".")[0]}.{type(loss).__name__} takes no logits (V, C) of '
                f'points ({error}). Take a classification loss of imbdense, or mmseg.CrossEntropyLoss.'
            ) from error
        return value
