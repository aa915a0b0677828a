"""``imbdense.PointEncoderDecoder``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor

from imbdense.core.points import majority_labels
from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.nn.sparse import SparsePoints
from imbdense.registry import MODELS

Config = Mapping[str, Any]
Samples = Sequence[PointSegDataSample]


@MODELS.register_module()
class PointEncoderDecoder(BaseModel):
    """Semantic segmentation of point clouds: voxels, backbone, a classifier per voxel, and back to every point.

    * 'loss': the terms of the head; the label of a voxel is the majority of its points (ties: smaller id; -1 only where
      all are ignored).
    * 'predict': ``pred_pts_seg.semantic`` (N,) of every raw point, that of its voxel; with
      ``test_cfg=dict(scores=True)`` also ``scores`` (N, C), softmax.
    * 'tensor': logits (V, C) of the voxels.

    Logits pass :meth:`encode_decode`, so post-hoc steps (``imbdense.PostHocLogitAdjustHook``, calibration) act on it as
    on mmseg's segmentors.

    Args:
        backbone: config; :class:`~imbdense.nn.sparse.SparsePoints` -> the same with ``out_channels`` features.
        decode_head: config; its ``in_channels`` is filled in from the backbone where it is not given.
        data_preprocessor: config of ``imbdense.PointDataPreProcessor``.
        train_cfg: unused, for the host. test_cfg: see above.
        init_cfg: as in mmengine.
    """

    card = 'point_segmentor'
    tasks = ('points',)
    conformance_arguments = {
        'backbone': {'type': 'imbdense.SparseUNet', 'in_channels': 3, 'base_channels': 4, 'depth': 1, 'blocks': (1,)},
        'decode_head': {
            'type': 'imbdense.PointSegHead', 'num_classes': 5,
            'loss_decode': {'type': 'imbdense.BalancedSoftmaxLoss'},
        },
    }

    def __init__(
        self,
        backbone: Config,
        decode_head: Config,
        data_preprocessor: Config | None = None,
        train_cfg: Config | None = None,
        test_cfg: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(
            None if data_preprocessor is None else dict(data_preprocessor), None if init_cfg is None else dict(init_cfg)
        )
        unknown = set(test_cfg or {}) - {'scores'}
        if unknown:
            raise ValueError(f'PointEncoderDecoder: test_cfg has {sorted(unknown)}; it knows scores alone.')
        self.backbone = HOST_MODELS.build(dict(backbone))
        self.decode_head = HOST_MODELS.build({'in_channels': self.backbone.out_channels, **decode_head})
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.decode_head.num_classes)

    def forward(
        self, inputs: SparsePoints, data_samples: Samples | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[PointSegDataSample] | Tensor:
        """What the host asks for, by ``mode``: 'loss', 'predict' or 'tensor'."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        if mode == 'predict':
            return self.predict(inputs, data_samples or ())
        if mode == 'tensor':
            return self.encode_decode(inputs)
        raise ValueError(f"PointEncoderDecoder: mode must be 'loss', 'predict' or 'tensor', but is {mode!r}.")

    def extract_feat(self, inputs: SparsePoints) -> SparsePoints:
        """Features at the voxels.

        Raises:
            ValueError: the points have another number of features than the backbone expects.
        """
        given, wanted = inputs.feats.shape[1], getattr(self.backbone, 'in_channels', None)
        if wanted is not None and given != wanted:
            raise ValueError(
                f'PointEncoderDecoder: the backbone has in_channels={wanted}, but the points have {given} features. '
                f"Set in_channels={given}, or change features of PackPointInputs (of train and test; 'rgb' and 'xyz' "
                f'are three).'
            )
        return self.backbone(inputs)

    def encode_decode(self, inputs: SparsePoints, batch_img_metas: Any = None) -> Tensor:
        """Logits (V, C)."""
        return self.decode_head(self.extract_feat(inputs))

    def loss(self, inputs: SparsePoints, data_samples: Samples) -> dict[str, Tensor]:
        """The terms of the head."""
        return self.decode_head.loss(self.extract_feat(inputs), voxel_labels(data_samples, len(inputs)))

    def predict(self, inputs: SparsePoints, data_samples: Samples) -> list[PointSegDataSample]:
        """The samples with their predictions at the raw points."""
        logits = self.encode_decode(inputs)
        classes = logits.argmax(1)
        scores = logits.float().softmax(1) if self.test_cfg.get('scores', False) else None
        for sample in data_samples:
            found = PointData(semantic=classes[sample.voxel_index])
            if scores is not None:
                found.scores = scores[sample.voxel_index]
            sample.pred_pts_seg = found
        return list(data_samples)


def voxel_labels(samples: Samples, voxels: int) -> Tensor:
    """(V,) int64 majority labels of the voxels of a batch.

    Raises:
        ValueError: a sample without labels; the message names its file.
    """
    for sample in samples:
        if 'semantic' not in sample.get('gt_pts_seg', ()):
            raise ValueError(f'{sample.metainfo.get("points_path", "a cloud")} has no labels, but training needs them.')
    labels = torch.cat([sample.gt_pts_seg.semantic for sample in samples])
    return majority_labels(labels, torch.cat([sample.voxel_index for sample in samples]), voxels)
