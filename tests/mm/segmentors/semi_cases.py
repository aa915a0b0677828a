"""Small hosts and batches for teacher-student segmentors."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from imbdense.mm.views import Views
from imbdense.registry import MODELS

PREPROCESSOR = dict(
    type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
    size=(32, 32),
)  # fmt: skip
LOSS = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)


def fcn(classes: int = 4) -> dict[str, Any]:
    """A U-Net of one stage less than in the configs, with an FCN head and an auxiliary one."""
    norm = dict(type='BN', requires_grad=True)
    head = dict(type='FCNHead', channels=8, num_convs=1, concat_input=False, dropout_ratio=0.1, num_classes=classes,
                norm_cfg=norm, align_corners=False, loss_decode=LOSS)
    return dict(
        type='EncoderDecoder',
        data_preprocessor=PREPROCESSOR,
        backbone=dict(
            type='UNet', base_channels=8, num_stages=3, strides=(1, 1, 1), enc_num_convs=(1, 1, 1),
            dec_num_convs=(1, 1), downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1),
            norm_cfg=norm),
        decode_head=dict(head, in_channels=8, in_index=2),
        auxiliary_head=dict(head, in_channels=16, in_index=1),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'))


def segformer(classes: int = 4) -> dict[str, Any]:
    """A SegFormer of two tiny stages."""
    return dict(
        type='EncoderDecoder',
        data_preprocessor=PREPROCESSOR,
        backbone=dict(
            type='MixVisionTransformer', in_channels=3, embed_dims=8, num_stages=2, num_layers=[1, 1],
            num_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], sr_ratios=[4, 2], out_indices=(0, 1), mlp_ratio=2,
            qkv_bias=True, drop_path_rate=0.1),
        decode_head=dict(
            type='SegformerHead', in_channels=[8, 16], in_index=[0, 1], channels=16, dropout_ratio=0.1,
            num_classes=classes, norm_cfg=dict(type='BN', requires_grad=True), align_corners=False, loss_decode=LOSS),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'))


def build(segmentor: dict[str, Any] | None = None, **options: Any) -> Any:
    """A SemiSegmentor in train mode, its teacher marked as followed."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    config = ConfigDict(type='imbdense.SemiSegmentor', segmentor=segmentor or fcn(), **options)
    model = MODELS.build(config)
    model.init_weights()
    model.teacher_follows = True
    return model.train()


def batch(
    labeled: int = 2, unlabeled: int = 3, strong: int = 2, classes: int = 4, size: int = 32, valid: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """A collated batch: uint8 images, labelled ones first; the right quarter of the unlabelled ones is padding."""
    generator = torch.Generator().manual_seed(seed)
    inputs: list[Any] = []
    samples: list[Any] = []

    def image() -> torch.Tensor:
        return torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8)

    for number in range(labeled):
        label = torch.randint(0, classes, (1, size, size), generator=generator)
        label[:, :2] = 255
        inputs.append(image())
        samples.append(_sample(f'l{number}.png', size, gt_sem_seg=label))
    for number in range(unlabeled):
        mask = torch.full((1, size, size), valid)
        mask[..., size - size // 4 :] = False
        names = ['unsup_weak', *(f'unsup_strong_{i + 1}' for i in range(strong))]
        inputs.append(Views({name: image() for name in names}))
        samples.append(Views({
            name: _sample(f'u{number}.png', size, **({'valid_pixels': mask} if name == 'unsup_weak' else {}))
            for name in names
        }))
    return {'inputs': inputs, 'data_samples': samples}


def _sample(path: str, size: int, **fields: torch.Tensor) -> SegDataSample:
    sample = SegDataSample(metainfo={'img_path': path, 'ori_shape': (size, size), 'img_shape': (size, size)})
    sample.set_data({name: PixelData(data=value) for name, value in fields.items()})
    return sample


def step(model: Any, data: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
    """(total, terms) of one training forward pass, through the data preprocessor."""
    prepared = model.data_preprocessor(data, True)
    terms = model(**prepared, mode='loss')
    return model.parse_losses(terms)[0], terms
