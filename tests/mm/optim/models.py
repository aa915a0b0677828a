"""Models of the hosts, built on CPU without weights."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from imbdense.utils.paths import configs_dir

SOURCES = {
    'SegFormer-B0': ('mmseg', '_base_/models/segformer_b0.py'),
    'UPerNet-Swin-T': ('mmseg', '_base_/models/upernet_swin_t.py'),
    'Mask R-CNN R50': ('mmdet', '_base_/models/faster_rcnn_r50.py'),
    'Mask2Former R50': ('mmseg', 'segmentation/mask2former_r50_loveda_adjusted.py'),
}
MASK_BRANCH: dict[str, Any] = {
    'mask_roi_extractor': {
        'type': 'SingleRoIExtractor', 'roi_layer': {'type': 'RoIAlign', 'output_size': 14, 'sampling_ratio': 0},
        'out_channels': 256, 'featmap_strides': [4, 8, 16, 32],
    },
    'mask_head': {
        'type': 'FCNMaskHead', 'num_convs': 4, 'in_channels': 256, 'conv_out_channels': 256, 'num_classes': 80,
        'loss_mask': {'type': 'CrossEntropyLoss', 'use_mask': True, 'loss_weight': 1.0},
    },
}  # fmt: skip


def build(name: str) -> nn.Module:
    """One of :data:`SOURCES`, nothing frozen, nothing downloaded."""
    scope, path = SOURCES[name]
    config = Config.fromfile(str(configs_dir() / path))
    model = config.model
    model.backbone.init_cfg = None
    if name == 'Mask R-CNN R50':
        model.type = 'MaskRCNN'
        model.backbone.frozen_stages = -1
        model.roi_head.update(MASK_BRANCH)
    init_default_scope(scope)
    return MODELS.build(model)
