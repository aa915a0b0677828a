"""``imbdense.SuperPixelSegmentor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from imbdense.mm.segmentors.cluster_segmentor import ClusterSegmentor, Config, EncodedRows
from imbdense.registry import MODELS


@MODELS.register_module()
class SuperPixelSegmentor(ClusterSegmentor):
    """Unsupervised segmentation of images: PointDC with superpixels in the place of super-voxels.

    Features: the chosen maps of a backbone, each of unit length at every place and brought to the size of the finest
    one, side by side. The elements are pixels, each with the features of the cell it lies in. Stages 'warmup' and
    'iterate' as for :class:`imbdense.PointDCSegmentor`, with :class:`imbdense.SuperVoxelClusterHook`; nothing is
    distilled, so the backbone must know something already (ImageNet, self-supervised pre-training).

    Prediction: ``pred_sem_seg``, numbers of clusters. The pipeline has :class:`imbdense.SuperPixel` before it packs
    (``PackSegInputs(meta_keys=('img_path', ..., 'superpixel'))``).

    Args:
        backbone: config of any backbone of mmseg.
        head: config of :class:`imbdense.CosineClusterHead`, with ``ignore_index=255``.
        channels: channels of each chosen map. layers: which outputs of the backbone; ``None`` = all.
        stage: 'warmup' or 'iterate'.
        frozen: keep the backbone as it is, in evaluation mode, and cluster its features alone.
        data_preprocessor: config of the host's. train_cfg: unused. test_cfg: ``dict(part_vote=True)``. init_cfg: as in
            mmengine.
    """

    card = 'pointdc'
    tasks = ('segmentation',)
    conformance_arguments = {
        'backbone': {'type': 'mmseg.MobileNetV2', 'out_indices': (1, 2)}, 'channels': (24, 32),
        'head': {'type': 'imbdense.CosineClusterHead', 'num_clusters': 5},
    }  # fmt: skip

    def __init__(
        self,
        backbone: Config,
        head: Config,
        channels: Sequence[int],
        layers: Sequence[int] | None = None,
        stage: str = 'iterate',
        frozen: bool = False,
        data_preprocessor: Config | None = None,
        train_cfg: Config | None = None,
        test_cfg: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        self._channels = sum(channels)
        super().__init__(backbone, head, None, stage, data_preprocessor, test_cfg, init_cfg)
        self.layers, self.frozen = layers, bool(frozen)
        if self.frozen:
            self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> SuperPixelSegmentor:
        """A frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def feature_channels(self) -> int:
        """Of all chosen maps together."""
        return self._channels

    def encode(self, inputs: Tensor, samples: Sequence[Any]) -> EncodedRows:
        """(B, 3, H, W) -> rows of the cells of the finest map, and the cell of each pixel of each image."""
        maps = self.backbone(inputs)
        chosen = list(maps) if self.layers is None else [maps[index] for index in self.layers]
        height, width = chosen[0].shape[-2:]
        joined = torch.cat([
            F.interpolate(F.normalize(item.float(), dim=1), (height, width), mode='bilinear', align_corners=False)
            for item in chosen
        ], 1)  # fmt: skip
        rows = joined.flatten(2).transpose(1, 2).reshape(-1, joined.shape[1])
        index = []
        for number, sample in enumerate(samples):
            shape = self.parts_map(sample).shape
            y = torch.arange(shape[0], device=rows.device) * height // inputs.shape[-2]
            x = torch.arange(shape[1], device=rows.device) * width // inputs.shape[-1]
            index.append((number * height * width + y[:, None] * width + x).flatten())
        return EncodedRows(rows, index)

    def parts_map(self, sample: Any) -> Tensor:
        """(H, W) superpixels of a sample, on the model's device."""
        parts = sample.metainfo.get('superpixel')
        if parts is None:
            raise KeyError(
                f"SuperPixelSegmentor: the sample of {sample.metainfo.get('img_path', 'an image')} has no "
                "'superpixel'. Add imbdense.SuperPixel to the pipeline and 'superpixel' to meta_keys of PackSegInputs."
            )
        return torch.as_tensor(parts, device=self.head.weight.device).long()

    def parts_of(self, sample: Any) -> Tensor:
        """Superpixels of all pixels."""
        return self.parts_map(sample).flatten()

    def teacher_of(self, sample: Any) -> Tensor:
        """Nothing is distilled."""
        raise ValueError("SuperPixelSegmentor has no teacher; its stages are 'warmup' and 'iterate'.")

    def name_of(self, sample: Any) -> str:
        """The image."""
        return str(sample.metainfo.get('img_path', ''))

    def answer(self, sample: Any, classes: Tensor) -> Any:
        """With ``pred_sem_seg``."""
        sample.pred_sem_seg = PixelData(data=classes.view(1, *self.parts_map(sample).shape))
        return sample
