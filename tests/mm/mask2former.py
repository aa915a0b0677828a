"""A Mask2Former head of mmdet small enough for a test, and one image for it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

CLASSES = 4
ATTENTION = {'embed_dims': 16, 'num_heads': 2, 'batch_first': True}
FFN = {'embed_dims': 16, 'feedforward_channels': 16, 'num_fcs': 2}
COSTS = [
    {'type': 'ClassificationCost', 'weight': 2.0},
    {'type': 'CrossEntropyLossCost', 'weight': 5.0, 'use_sigmoid': True},
    {'type': 'DiceCost', 'weight': 5.0, 'pred_act': True, 'eps': 1.0},
]


def build_head(
    loss_cls: dict[str, Any], assigner: dict[str, Any] | None = None, sampler: str = 'MaskPseudoSampler'
) -> Any:
    """The head with 10 queries and weight 0.1 of "no object"; build it in mmdet's scope."""
    config = {
        'type': 'Mask2FormerHead', 'in_channels': [8, 8, 8, 8], 'strides': [4, 8, 16, 32], 'feat_channels': 16,
        'out_channels': 16, 'num_things_classes': CLASSES, 'num_stuff_classes': 0, 'num_queries': 10,
        'num_transformer_feat_level': 3,
        'pixel_decoder': {
            'type': 'MSDeformAttnPixelDecoder', 'num_outs': 3, 'norm_cfg': {'type': 'GN', 'num_groups': 2},
            'act_cfg': {'type': 'ReLU'},
            'encoder': {
                'num_layers': 1,
                'layer_cfg': {
                    'self_attn_cfg': {**ATTENTION, 'num_levels': 3, 'num_points': 2}, 'ffn_cfg': FFN
                },
            },
            'positional_encoding': {'num_feats': 8, 'normalize': True},
        },
        'positional_encoding': {'num_feats': 8, 'normalize': True},
        'transformer_decoder': {
            'return_intermediate': True, 'num_layers': 1,
            'layer_cfg': {'self_attn_cfg': ATTENTION, 'cross_attn_cfg': ATTENTION, 'ffn_cfg': FFN},
        },
        'loss_cls': {**copy.deepcopy(loss_cls), 'class_weight': [1.0] * CLASSES + [0.1]},
        'loss_mask': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 5.0},
        'loss_dice': {
            'type': 'DiceLoss', 'use_sigmoid': True, 'activate': True, 'naive_dice': True, 'eps': 1.0,
            'loss_weight': 5.0,
        },
        'train_cfg': {
            'num_points': 64, 'oversample_ratio': 3.0, 'importance_sample_ratio': 0.75,
            'assigner': assigner or {'type': 'HungarianAssigner', 'match_costs': COSTS},
            'sampler': {'type': sampler},
        },
    }
    torch.manual_seed(0)
    head = MODELS.build(ConfigDict(config))
    head.init_weights()
    return head.train()


def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    """Class scores (1, 10, CLASSES + 1) and mask logits (1, 10, 16, 16) of one decoder layer."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 10, CLASSES + 1, generator=generator).requires_grad_()
    return scores, torch.randn(1, 10, 16, 16, generator=generator).requires_grad_()


def targets() -> tuple[list[InstanceData], list[dict[str, Any]]]:
    """One image with a segment of class 0 and one of the rare class 3."""
    masks = torch.zeros(2, 16, 16, dtype=torch.long)
    masks[0, :10], masks[1, 12:, 12:] = 1, 1
    meta = {'img_shape': (16, 16), 'batch_input_shape': (16, 16), 'pad_shape': (16, 16)}
    return [InstanceData(labels=torch.tensor([0, 3]), masks=masks)], [meta]
