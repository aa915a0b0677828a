"""Detectors of a few thousand parameters with sampling-free heads, and a batch of two images for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor

register_all_modules(init_default_scope=False)

CLASSES, SIZE = 3, 64
BACKBONE = {'type': 'ResNet', 'depth': 18, 'base_channels': 4, 'num_stages': 4, 'out_indices': (0, 1, 2, 3),
            'norm_eval': True}
NECK = {'type': 'FPN', 'in_channels': [4, 8, 16, 32], 'out_channels': 8, 'num_outs': 4}
STRIDES = [4, 8, 16, 32]
ONE_ANCHOR = {'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0],
              'strides': STRIDES}
CODER = {'type': 'DeltaXYWHBBoxCoder', 'target_means': [0.0] * 4, 'target_stds': [0.1, 0.1, 0.2, 0.2]}
MAX_IOU = {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0, 'ignore_iof_thr': 0.5}
ALL = {'type': 'PseudoSampler'}
TEST = {'nms_pre': 50, 'min_bbox_size': 0, 'score_thr': 0.0, 'nms': {'type': 'nms', 'iou_threshold': 0.6},
        'max_per_img': 10}
DENSE_TRAIN = {'assigner': MAX_IOU, 'allowed_border': -1, 'pos_weight': -1, 'debug': False}
ATSS_TRAIN = {**DENSE_TRAIN, 'assigner': {'type': 'ATSSAssigner', 'topk': 9}}
DENSE = {'num_classes': CLASSES, 'in_channels': 8, 'feat_channels': 8, 'stacked_convs': 1}
NORM = {'norm_cfg': {'type': 'GN', 'num_groups': 2}}
GIOU = {'type': 'GIoULoss', 'loss_weight': 2.0}
RANGES = ((-1, 16), (16, 32), (32, 64), (64, 1e8))
ATSS = {**DENSE, **NORM, 'anchor_generator': ONE_ANCHOR, 'bbox_coder': CODER,
        'loss_bbox': GIOU}
QUALITY = {'type': 'QualityFocalLoss', 'use_sigmoid': True, 'beta': 2.0}
POINTS = {**DENSE, 'strides': STRIDES}
SINGLE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    'retina': ('RetinaNet', {'type': 'imbdense.SamplingFreeRetinaHead', **DENSE, 'anchor_generator': ONE_ANCHOR,
                             'bbox_coder': CODER, 'loss_bbox': {'type': 'L1Loss'}}, DENSE_TRAIN),
    'fcos': ('FCOS', {'type': 'imbdense.SamplingFreeFCOSHead', **POINTS, **NORM,
                      'regress_ranges': RANGES}, {}),
    'atss': ('ATSS', {'type': 'imbdense.SamplingFreeATSSHead', **ATSS}, ATSS_TRAIN),
    'fovea': ('FOVEA', {'type': 'imbdense.SamplingFreeFoveaHead', **POINTS, 'base_edge_list': [8, 16, 32, 64],
                        'scale_ranges': ((1, 16), (8, 32), (16, 64), (32, 128)),
                        'loss_bbox': {'type': 'SmoothL1Loss', 'beta': 0.11}}, {}),
    'gfl': ('GFL', {'type': 'imbdense.SamplingFreeWrapper', 'guide_keys': ['loss_bbox', 'loss_dfl'], 'base': {
        'type': 'GFLHead', **DENSE, **NORM, 'anchor_generator': ONE_ANCHOR, 'loss_cls': QUALITY, 'loss_bbox': GIOU,
    }}, ATSS_TRAIN),
    'vfnet': ('VFNet', {'type': 'imbdense.SamplingFreeWrapper', 'guide_keys': ['loss_bbox', 'loss_bbox_rf'], 'base': {
        'type': 'VFNetHead', **POINTS, **NORM, 'anchor_generator': {**ONE_ANCHOR, 'center_offset': 0.0},
        'use_atss': True, 'use_vfl': False, 'regress_ranges': RANGES, 'loss_bbox': GIOU, 'loss_bbox_refine': GIOU,
        'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': True},
    }}, ATSS_TRAIN),
    'tood': ('TOOD', {'type': 'imbdense.SamplingFreeWrapper', 'base': {
        'type': 'TOODHead', **DENSE, 'stacked_convs': 2, **NORM, 'anchor_type': 'anchor_free', 'bbox_coder': CODER,
        'anchor_generator': ONE_ANCHOR, 'loss_cls': QUALITY, 'loss_bbox': GIOU,
    }}, {**DENSE_TRAIN, 'initial_epoch': 4, 'initial_assigner': {'type': 'ATSSAssigner', 'topk': 9},
         'assigner': {'type': 'TaskAlignedAssigner', 'topk': 13}, 'alpha': 1, 'beta': 6}),
    'rtmdet': ('RTMDet', {'type': 'imbdense.SamplingFreeWrapper', 'base': {
        'type': 'RTMDetHead', **DENSE, **NORM, 'with_objectness': False, 'loss_cls': QUALITY, 'loss_bbox': GIOU,
        'anchor_generator': {'type': 'MlvlPointGenerator', 'offset': 0, 'strides': STRIDES},
        'bbox_coder': {'type': 'DistancePointBBoxCoder'},
    }}, {**DENSE_TRAIN, 'assigner': {'type': 'DynamicSoftLabelAssigner', 'topk': 13}}),
}
"""name -> (detector, head, train_cfg)."""

BBOX_HEAD = {'type': 'imbdense.SamplingFreeBBoxHead', 'in_channels': 8, 'fc_out_channels': 16, 'roi_feat_size': 3,
             'num_classes': CLASSES, 'bbox_coder': CODER, 'loss_bbox': {'type': 'SmoothL1Loss', 'beta': 1.0},
             'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': False}}
ROI = {'type': 'SingleRoIExtractor', 'roi_layer': {'type': 'RoIAlign', 'output_size': 3, 'sampling_ratio': 0},
       'out_channels': 8, 'featmap_strides': STRIDES}
RCNN_TRAIN = {'assigner': {**MAX_IOU, 'neg_iou_thr': 0.5, 'min_pos_iou': 0.5, 'match_low_quality': False},
              'sampler': ALL, 'pos_weight': -1, 'debug': False, 'mask_size': 6}


def single_stage(name: str) -> dict[str, Any]:
    """Config of a one-stage detector."""
    kind, head, train = SINGLE[name]
    return {'type': kind, 'backbone': BACKBONE, 'neck': NECK, 'bbox_head': head, 'train_cfg': train or None,
            'test_cfg': TEST}


def yolo() -> dict[str, Any]:
    """YOLOv3 on three of the four backbone levels."""
    head = {'type': 'imbdense.SamplingFreeYOLOV3Head', 'num_classes': CLASSES, 'in_channels': [32, 16, 8],
            'out_channels': [16, 8, 8], 'featmap_strides': [32, 16, 8],
            'anchor_generator': {'type': 'YOLOAnchorGenerator', 'strides': [32, 16, 8], 'base_sizes': [
                [(48, 48), (60, 40), (40, 60)], [(24, 24), (30, 20), (20, 30)], [(12, 12), (8, 12), (12, 8)]]},
            'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'reduction': 'sum'},
            'loss_xy': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'reduction': 'sum'},
            'loss_wh': {'type': 'MSELoss', 'reduction': 'sum'}}
    return {'type': 'YOLOV3', 'backbone': {**BACKBONE, 'out_indices': (1, 2, 3)},
            'neck': {'type': 'YOLOV3Neck', 'num_scales': 3, 'in_channels': [32, 16, 8], 'out_channels': [32, 16, 8]},
            'bbox_head': head, 'test_cfg': {**TEST, 'conf_thr': 0.005},
            'train_cfg': {'assigner': {'type': 'GridAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.5,
                                       'min_pos_iou': 0}}}


def two_stage(kind: str, box_head: dict[str, Any] = BBOX_HEAD) -> dict[str, Any]:
    """Config of 'FasterRCNN', 'MaskRCNN' or 'CascadeRCNN'."""
    cascade = kind == 'CascadeRCNN'
    roi_head: dict[str, Any] = {'type': 'StandardRoIHead', 'bbox_roi_extractor': ROI, 'bbox_head': box_head}
    if cascade:
        heads = [{**box_head, 'reg_class_agnostic': True} for _ in range(2)]
        roi_head |= {'type': 'CascadeRoIHead', 'num_stages': 2, 'stage_loss_weights': [1, 0.5], 'bbox_head': heads}
    if kind == 'MaskRCNN':
        roi_head |= {'mask_roi_extractor': ROI, 'mask_head': {
            'type': 'FCNMaskHead', 'num_convs': 1, 'in_channels': 8, 'conv_out_channels': 8, 'num_classes': CLASSES,
            'loss_mask': {'type': 'CrossEntropyLoss', 'use_mask': True}}}
    proposals = {'nms_pre': 100, 'max_per_img': 60, 'nms': {'type': 'nms', 'iou_threshold': 0.9}, 'min_bbox_size': 0}
    rpn = {'type': 'imbdense.SamplingFreeRPNHead', 'in_channels': 8, 'feat_channels': 8,
           'anchor_generator': {'type': 'AnchorGenerator', 'scales': [4], 'ratios': [1.0], 'strides': STRIDES},
           'bbox_coder': {**CODER, 'target_stds': [1.0] * 4}, 'loss_bbox': {'type': 'SmoothL1Loss', 'beta': 1 / 9}}
    return {'type': kind, 'backbone': BACKBONE, 'neck': NECK, 'rpn_head': rpn, 'roi_head': roi_head,
            'train_cfg': {'rpn': {**DENSE_TRAIN, 'sampler': ALL}, 'rpn_proposal': proposals,
                          'rcnn': [RCNN_TRAIN] * 2 if cascade else RCNN_TRAIN},
            'test_cfg': {'rpn': proposals, 'rcnn': {**TEST, 'mask_thr_binary': 0.5}}}


def build(config: dict[str, Any], seed: int = 0) -> Any:
    """The model in train mode with initialised weights."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(ConfigDict(config))
    model.init_weights()
    MessageHub.get_current_instance().update_info('epoch', 0)  # TOOD changes its assigner after some epochs
    return model.train()


def batch(boxes: Sequence[Sequence[Sequence[float]]], *, masks: bool = False, seed: int = 0
          ) -> tuple[Tensor, list[DetDataSample]]:
    """Images of noise with bright squares, and their samples; the class of box i is i % 3."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(len(boxes), 3, SIZE, SIZE, generator=generator)
    samples = []
    for image, own in zip(images, boxes):
        for x1, y1, x2, y2 in own:
            image[:, int(y1): int(y2), int(x1): int(x2)] += 3.0
        sample = DetDataSample(metainfo={
            'img_shape': (SIZE, SIZE), 'pad_shape': (SIZE, SIZE), 'batch_input_shape': (SIZE, SIZE),
            'ori_shape': (SIZE, SIZE), 'scale_factor': (1.0, 1.0), 'img_id': len(samples)})
        truth = InstanceData(bboxes=torch.tensor(own, dtype=torch.float32).reshape(-1, 4),
                             labels=torch.arange(len(own)) % CLASSES)
        if masks:
            truth.masks = bitmaps(own)
        sample.gt_instances = truth
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
        samples.append(sample)
    return images, samples


def bitmaps(boxes: Sequence[Sequence[float]]) -> Any:
    """A full rectangle per box."""
    import numpy as np
    from mmdet.structures.mask import BitmapMasks

    masks = np.zeros((len(boxes), SIZE, SIZE), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[int(y1): int(y2), int(x1): int(x2)] = 1
    return BitmapMasks(masks, SIZE, SIZE)


WITH_BOXES = [[[8.0, 8, 24, 24], [30, 30, 46, 46], [40, 4, 56, 20]], [[10.0, 20, 40, 50]]]
WITHOUT_BOXES: list[list[list[float]]] = [[], []]
