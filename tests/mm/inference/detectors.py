"""Tiny detectors of every kind, with random weights, on a few small images."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from tests.integration.tiny_data import write_detection
from tests.mm.inference import host_heads

CLASSES = ('car', 'mast', 'sign')
KINDS = ('roi', 'dense', 'dense_softmax', 'dense_factor', 'distribution', 'query')
OWN_SCORES = ('own_roi', 'own_dense')


@MODELS.register_module(force=True)
class TwoConvBackbone(nn.Module):
    """Two feature maps of 8 channels, strides 8 and 16; or the first alone, or the coarse one first."""

    def __init__(self, maps: int = 2, coarse_first: bool = False) -> None:
        super().__init__()
        self.maps, self.coarse_first = maps, coarse_first
        self.first = nn.Conv2d(3, 8, 8, stride=8)
        self.second = nn.Conv2d(8, 8, 2, stride=2)

    def forward(self, image: Any) -> tuple[Any, ...]:
        """The maps."""
        first = self.first(image).relu()
        found = (first, self.second(first).relu())[: self.maps]
        return found[::-1] if self.coarse_first else found


def _anchors(ratios: list[float]) -> dict[str, Any]:
    return {'type': 'AnchorGenerator', 'scales': [2], 'ratios': ratios, 'strides': [8, 16]}


def _coder(std: float) -> dict[str, Any]:
    return {'type': 'DeltaXYWHBBoxCoder', 'target_means': [0.0] * 4, 'target_stds': [std] * 4}


def _dense(head: dict[str, Any], kind: str = 'RetinaNet') -> dict[str, Any]:
    nms = {'type': 'nms', 'iou_threshold': 0.5}
    return {
        'type': kind, 'backbone': {'type': 'TwoConvBackbone'},
        'neck': {'type': 'FPN', 'in_channels': [8, 8], 'out_channels': 8, 'num_outs': 2},
        'bbox_head': {'num_classes': 3, 'in_channels': 8, 'feat_channels': 8, 'stacked_convs': 1, **head},
        'test_cfg': {'nms_pre': 60, 'min_bbox_size': 0, 'score_thr': 0.01, 'nms': nms, 'max_per_img': 50},
    }  # fmt: skip


def _roi() -> dict[str, Any]:
    loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': False}
    nms = {'type': 'nms', 'iou_threshold': 0.5}
    return {
        'type': 'FasterRCNN', 'train_cfg': None, 'backbone': {'type': 'TwoConvBackbone'},
        'neck': {'type': 'FPN', 'in_channels': [8, 8], 'out_channels': 8, 'num_outs': 2},
        'rpn_head': {
            'type': 'RPNHead', 'in_channels': 8, 'feat_channels': 8, 'anchor_generator': _anchors([1.0]),
            'bbox_coder': _coder(1.0), 'loss_cls': {**loss, 'use_sigmoid': True},
            'loss_bbox': {'type': 'L1Loss'},
        },
        'roi_head': {
            'type': 'StandardRoIHead',
            'bbox_roi_extractor': {
                'type': 'SingleRoIExtractor', 'roi_layer': {'type': 'RoIAlign', 'output_size': 3, 'sampling_ratio': 0},
                'out_channels': 8, 'featmap_strides': [8, 16],
            },
            'bbox_head': {
                'type': 'Shared2FCBBoxHead', 'in_channels': 8, 'fc_out_channels': 16, 'roi_feat_size': 3,
                'num_classes': 3, 'bbox_coder': _coder(0.2), 'reg_class_agnostic': False, 'loss_cls': loss,
                'loss_bbox': {'type': 'L1Loss'},
            },
        },
        'test_cfg': {
            'rpn': {'nms_pre': 200, 'max_per_img': 60, 'nms': {**nms, 'iou_threshold': 0.7}, 'min_bbox_size': 0},
            'rcnn': {'score_thr': 0.05, 'nms': nms, 'max_per_img': 40},
        },
    }  # fmt: skip


def _query() -> dict[str, Any]:
    attention = {'embed_dims': 16, 'num_heads': 2, 'batch_first': True}
    ffn = {'embed_dims': 16, 'feedforward_channels': 16, 'num_fcs': 2}
    return {
        'type': 'DETR', 'num_queries': 20, 'backbone': {'type': 'TwoConvBackbone'},
        'neck': {'type': 'ChannelMapper', 'in_channels': [8, 8], 'kernel_size': 1, 'out_channels': 16, 'num_outs': 1},
        'encoder': {'num_layers': 1, 'layer_cfg': {'self_attn_cfg': attention, 'ffn_cfg': ffn}},
        'decoder': {
            'num_layers': 2, 'return_intermediate': True,
            'layer_cfg': {'self_attn_cfg': attention, 'cross_attn_cfg': attention, 'ffn_cfg': ffn},
        },
        'positional_encoding': {'num_feats': 8, 'normalize': True},
        'bbox_head': {
            'type': 'DETRHead', 'num_classes': 3, 'embed_dims': 16,
            'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'class_weight': 1.0, 'bg_cls_weight': 0.1},
            'loss_bbox': {'type': 'L1Loss'}, 'loss_iou': {'type': 'GIoULoss'},
        },
        'test_cfg': {'max_per_img': 15},
    }  # fmt: skip


def model(kind: str) -> dict[str, Any]:
    """The model of one kind of :data:`KINDS`, :data:`host_heads.CONFIGS` or :data:`OWN_SCORES`."""
    if kind in host_heads.CONFIGS:
        return host_heads.model(kind)
    focal = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25}
    if kind in ('roi', 'own_roi'):
        made = _roi()
        if kind == 'own_roi':
            made['roi_head']['bbox_head']['loss_cls'] = {'type': 'mmdet.SeesawLoss', 'num_classes': 3}
        return made
    if kind == 'query':
        return _query()
    if kind in ('dense', 'own_dense'):
        own = {'type': 'imbdense.EffectiveClassMarginLoss', 'class_counts': [9, 3, 1], 'use_sigmoid': True}
        return _dense({
            'type': 'RetinaHead', 'anchor_generator': _anchors([0.5, 2.0]), 'bbox_coder': _coder(1.0),
            'loss_cls': own if kind == 'own_dense' else focal,
        })  # fmt: skip
    if kind == 'dense_softmax':
        loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': False}
        return _dense({
            'type': 'RetinaHead', 'anchor_generator': _anchors([0.5, 2.0]), 'bbox_coder': _coder(1.0),
            'loss_cls': loss,
        })  # fmt: skip
    if kind == 'dense_factor':
        return _dense({
            'type': 'ATSSHead', 'anchor_generator': _anchors([1.0]), 'bbox_coder': _coder(0.1), 'loss_cls': focal,
            'norm_cfg': {'type': 'GN', 'num_groups': 2},
        }, 'ATSS')  # fmt: skip
    return _dense({
        'type': 'GFLHead', 'anchor_generator': _anchors([1.0]), 'norm_cfg': {'type': 'GN', 'num_groups': 2},
        'loss_cls': {'type': 'QualityFocalLoss', 'use_sigmoid': True}, 'reg_max': 4,
        'loss_dfl': {'type': 'DistributionFocalLoss'},
    }, 'GFL')  # fmt: skip


def config(kind: str, root: Path, count: int = 6) -> Config:
    """A run of that kind; the data are written to ``root``, objects of different sizes."""
    if not (root / 'annotations').exists():
        write_detection(root, CLASSES, count=count)
        for split in ('train', 'val'):
            add_outlines(root / 'annotations' / f'{split}.json')
    padding = [{
        'type': 'RandomCenterCropPad', 'ratios': None, 'border': None, 'mean': [0, 0, 0], 'std': [1, 1, 1],
        'to_rgb': False, 'test_mode': True, 'test_pad_mode': ['logical_or', 31], 'test_pad_add_pix': 1,
    }] if kind == 'centernet' else []  # fmt: skip
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', *(['border'] if padding else []))
    pipeline = [
        {'type': 'LoadImageFromFile', 'to_float32': True}, {'type': 'Resize', 'scale': (144, 120), 'keep_ratio': True},
        *padding,
        {'type': 'LoadAnnotations', 'with_bbox': True}, {'type': 'PackDetInputs', 'meta_keys': keys},
    ]  # fmt: skip

    def loader(split: str) -> dict[str, Any]:
        return {
            'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {
                'type': 'imbdense.AnyCocoDataset', 'data_root': str(root), 'ann_file': f'annotations/{split}.json',
                'data_prefix': {'img': f'images/{split}'}, 'metainfo': {'classes': CLASSES}, 'test_mode': True,
                'pipeline': pipeline,
            },
        }  # fmt: skip

    preprocessor = {'type': 'DetDataPreprocessor', 'mean': [60.0] * 3, 'std': [60.0] * 3, 'pad_size_divisor': 16}
    evaluator = {'type': 'imbdense.FrequencyGroupedCocoMetric', 'ann_file': str(root / 'annotations' / 'val.json')}
    return Config({
        'default_scope': 'mmdet', 'model': {'data_preprocessor': preprocessor, **model(kind)},
        'train_dataloader': loader('train'), 'val_dataloader': loader('val'), 'test_dataloader': loader('val'),
        'test_evaluator': evaluator, 'test_cfg': {'type': 'TestLoop'},
    })  # fmt: skip


def add_outlines(annotations: Path) -> None:
    """Give every object of a COCO json a mask: the box without one corner."""
    record = json.loads(annotations.read_text())
    for one in record['annotations']:
        x, y, width, height = one['bbox']
        right, bottom = x + width, y + height
        one['segmentation'] = [[x, y, right, y, right, bottom, x + width / 2, bottom, x, y + height / 2]]
    annotations.write_text(json.dumps(record))


def checkpoint(cfg: Config, path: Path, seed: int = 0) -> Path:
    """Random weights whose scores differ between classes and places."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(seed)
        built = MODELS.build(copy.deepcopy(cfg.model))  # DETRHead changes its config
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in built.state_dict().items():
        noisy = any(part in name for part in ('cls', 'pred', 'heatmap', 'obj', 'mask')) and value.is_floating_point()
        weights[name] = value + 0.3 * torch.randn(value.shape, generator=generator) if noisy else value
        if name.endswith(('retina_cls.bias', 'atss_cls.bias', 'gfl_cls.bias', 'tood_cls.bias', 'vfnet_cls.bias')):
            weights[name] = torch.randn(value.shape, generator=generator) - 1
    torch.save({'state_dict': weights, 'meta': {'dataset_meta': {'classes': CLASSES}}}, path)
    return path
