"""``imbdense.BinaryThenMulticlassHead``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as HOST_MODELS
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

from imbdense.registry import MODELS


@MODELS.register_module()
class BinaryThenMulticlassHead(BaseModule):
    """Direct multi-class change detection in two steps: is it changed, and if so, into what.

    ::

        change head: c = softmax over (unchanged, changed),  trained on all pixels, label > 0
        type head:   t = softmax over the kinds of change,   trained on changed pixels only, label - 1
        logits:      z_0 = log c_0,   z_k = log c_1 + log t_k - max_j log t_j

    so class 0 wins exactly where the change head says "unchanged", and else the likeliest kind: a changed
    pixel is not lost because its probability is spread over several kinds, as it is with one softmax over all. The
    logits are made for that decision; their softmax puts too much on the kinds.

    A rare kind of change no longer competes with the unchanged pixels, only with the other kinds, and each head may
    have its own imbalance loss. The labels are those of one map: 0 = unchanged, 1 ... K - 1 = kinds, 255 = ignored.

    Args:
        change_head: config of a decode head of mmseg with ``num_classes=2``.
        type_head: the same with ``num_classes=K - 1`` >= 2, fed with the same features.
        init_cfg: as in the host.

    Raises:
        ValueError: class counts or ``out_channels`` that do not fit.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)
    conformance_arguments: dict[str, Any] = {
        'change_head': {'type': 'mmseg.FCNHead', 'in_channels': 4, 'channels': 4, 'num_classes': 2},
        'type_head': {'type': 'mmseg.FCNHead', 'in_channels': 4, 'channels': 4, 'num_classes': 3},
    }

    def __init__(
        self, change_head: Mapping[str, Any], type_head: Mapping[str, Any], init_cfg: Any = None
    ) -> None:
        super().__init__(init_cfg)
        self.change_head = HOST_MODELS.build(dict(change_head))
        self.type_head = HOST_MODELS.build(dict(type_head))
        outputs = self.change_head.out_channels, self.type_head.out_channels
        if outputs[0] != 2 or outputs[1] < 2 or outputs[1] != self.type_head.num_classes:
            raise ValueError(
                f'BinaryThenMulticlassHead: change_head needs 2 logit channels and type_head one per kind of change, '
                f'at least 2, but they have {outputs[0]} and {outputs[1]}.'
            )
        self.num_classes = self.out_channels = outputs[1] + 1
        self.align_corners, self.ignore_index = self.change_head.align_corners, self.change_head.ignore_index
        self.threshold = None

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, K, h, w), see above."""
        change = self.change_head(inputs).float().log_softmax(1)
        kind = self.type_head(inputs).float()
        if kind.shape[-2:] != change.shape[-2:]:
            kind = resize(kind, size=change.shape[-2:], mode='bilinear', align_corners=self.align_corners)
        return torch.cat([change[:, :1], change[:, 1:] + kind - kind.amax(1, keepdim=True)], dim=1)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: Sequence[Any], train_cfg: Any) -> dict[str, Tensor]:
        """The terms of both heads, ``change.*`` and ``type.*``; a batch without change gives a type loss of 0."""
        found = {}
        for prefix, head, relabel in (
            ('change', self.change_head, self._changed), ('type', self.type_head, self._kinds)
        ):
            samples = [
                SegDataSample(gt_sem_seg=PixelData(data=relabel(sample.gt_sem_seg.data)))
                for sample in batch_data_samples
            ]
            terms = head.loss(inputs, samples, train_cfg)
            found.update({f'{prefix}.{name}': value for name, value in terms.items()})
        return found

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: Sequence[Any], test_cfg: Any) -> Tensor:
        """Logits at the size of the image."""
        return self.change_head.predict_by_feat(self.forward(inputs), batch_img_metas)

    def _changed(self, label: Tensor) -> Tensor:
        """0, 1, ignored."""
        return torch.where(label == self.ignore_index, label, (label > 0).to(label.dtype))

    def _kinds(self, label: Tensor) -> Tensor:
        """Kind - 1 where changed; ignored elsewhere."""
        return torch.where((label == self.ignore_index) | (label == 0), self.ignore_index, label - 1)
