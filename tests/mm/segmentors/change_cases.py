"""Tiny change detectors and batches of pairs, for tests."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS

WIDTHS = (16, 32, 64, 128)


def preprocessor() -> dict[str, Any]:
    return dict(type='imbdense.DenseDataPreProcessor', dates=2)


def fc_siam(fusion: Any, bands: int = 3, classes: int = 2, **options: Any) -> Any:
    """FC-EF, FC-Siam-diff or FC-Siam-conc."""
    early = fusion == 'early'
    skips = tuple(2 * width for width in WIDTHS) if fusion == 'concat' else WIDTHS
    return MODELS.build(ConfigDict(
        type='imbdense.SiameseSegmentor',
        data_preprocessor=preprocessor(),
        backbone=dict(type='imbdense.FCSiamEncoder', in_channels=(2 if early else 1) * bands),
        decode_head=dict(type='imbdense.FCSiamHead', in_channels=(*skips, 128), num_classes=classes),
        fusion=fusion if early else [fusion] * 4 + ['last'], test_cfg=dict(mode='whole'), **options))  # fmt: skip


def resnet(fusion: Any = 'concat', head: dict[str, Any] | None = None, bands: int = 3, **options: Any) -> Any:
    """ResNet-18 with an eighth of the channels and an FCN head on the deepest map."""
    factor = {'diff': 1, 'concat': 2, 'conc+diff': 3, 'early': 1}.get(fusion if isinstance(fusion, str) else '', 1)
    default = dict(type='mmseg.FCNHead', in_channels=64 * factor, channels=8, num_convs=1, num_classes=2,
                   norm_cfg=dict(type='BN'), dropout_ratio=0.0)  # fmt: skip
    return MODELS.build(ConfigDict(
        type='imbdense.SiameseSegmentor', data_preprocessor=preprocessor(),
        backbone=dict(type='mmseg.ResNet', depth=18, stem_channels=8, base_channels=8,
                      in_channels=2 * bands if fusion == 'early' else bands),
        decode_head=head or default, fusion=fusion, test_cfg=dict(mode='whole'), **options))  # fmt: skip


def mit(**options: Any) -> Any:
    """A very small MiT with a SegFormer head."""
    return MODELS.build(ConfigDict(
        type='imbdense.SiameseSegmentor', data_preprocessor=preprocessor(),
        backbone=dict(type='mmseg.MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1],
                      num_heads=[1, 1, 1, 1], drop_path_rate=0.0),
        decode_head=dict(type='mmseg.SegformerHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], channels=8,
                         num_classes=2, norm_cfg=dict(type='BN'), dropout_ratio=0.0),
        fusion='concat', test_cfg=dict(mode='whole'), **options))  # fmt: skip


def pairs(count: int = 2, size: tuple[int, int] = (32, 32), bands: int = 3, classes: int = 2, seed: int = 0) -> Any:
    """What the data loader gives: images (2 B, H, W) and samples with a change map."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(count):
        sample = SCDDataSample(metainfo={'ori_shape': size, 'img_shape': size, 'pad_shape': size})
        label = torch.randint(0, classes, (1, *size), generator=generator)
        label[:, :2] = 255
        sample.gt_cd = PixelData(data=label)
        samples.append(sample)
    images = [torch.randn(2 * bands, *size, generator=generator) for _ in range(count)]
    return {'inputs': images, 'data_samples': samples}


def train_step(model: Any, data: Any) -> tuple[torch.Tensor, dict[str, Any]]:
    """(total loss, terms) of one batch."""
    batch = model.data_preprocessor(data, True)
    losses = model(**batch, mode='loss')
    return model.parse_losses(losses)[0], losses
