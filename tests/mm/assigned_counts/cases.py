"""Small detectors of every kind of head, and a COCO set whose boxes suit them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from PIL import Image
from torch import nn

CLASSES = ('car', 'van', 'bus')
STRIDES = [8, 16, 32]


def write_coco(
    root: Path, *, images: int = 20, size: tuple[int, int] = (128, 160), split: str = 'train', crowd: bool = True,
    seed: int = 0, classes: tuple[str, ...] = CLASSES, weights: tuple[float, ...] = (0.7, 0.25, 0.05),
) -> Path:  # fmt: skip
    """``root/images/<split>``, ``root/<split>.json``: coloured boxes of many shapes; every fifth image is empty.

    Every fourth image holds a crowd region. Image sizes vary a little, so that padding matters. Returns the json.
    """
    generator = np.random.default_rng(seed)
    records, boxes = [], []
    (root / 'images' / split).mkdir(parents=True, exist_ok=True)
    for index in range(images):
        height, width = size[0] - 7 * (index % 3), size[1] - 5 * (index % 2)
        picture = generator.integers(0, 50, (height, width, 3)).astype(np.uint8)
        for number in range(0 if index % 5 == 4 else 1 + index % 4):
            w, h = np.exp(generator.uniform(np.log(9), np.log(90), 2))
            left, top = generator.uniform(0, width - w), generator.uniform(0, height - h)
            category = int(generator.choice(len(classes), p=np.array(weights) / sum(weights)))
            picture[int(top): int(top + h), int(left): int(left + w), category % 3] = 200
            boxes.append({'id': len(boxes) + 1, 'image_id': index + 1, 'category_id': category + 1,
                          'bbox': [left, top, w, h], 'area': w * h,
                          'iscrowd': int(crowd and index % 4 == 3 and number == 0)})  # fmt: skip
        name = f'{index:03d}.png'
        Image.fromarray(picture).save(root / 'images' / split / name)
        records.append({'id': index + 1, 'file_name': name, 'width': width, 'height': height})
    path = root / f'{split}.json'
    categories = [{'id': number + 1, 'name': name} for number, name in enumerate(classes)]
    path.write_text(json.dumps({'images': records, 'annotations': boxes, 'categories': categories}))
    return path


def pipeline(*extra: dict[str, Any]) -> list[dict[str, Any]]:
    """Loading, ``extra``, packing."""
    return [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations', 'with_bbox': True}, *extra,
            {'type': 'PackDetInputs'}]  # fmt: skip


def dataset_config(root: Path, *extra: dict[str, Any], split: str = 'train', **changes: Any) -> dict[str, Any]:
    """A CocoDataset with every image, also the empty ones."""
    return {'type': 'CocoDataset', 'ann_file': str(root / f'{split}.json'),
            'data_prefix': {'img': str(root / 'images' / split)}, 'metainfo': {'classes': CLASSES},
            'pipeline': pipeline(*extra), **changes}  # fmt: skip


def build_dataset(root: Path, *extra: dict[str, Any], **changes: Any) -> Any:
    """The data set object."""
    from mmdet.registry import DATASETS

    init_default_scope('mmdet')
    return DATASETS.build(dataset_config(root, *extra, **changes))


class TinyFeatures(nn.Module):
    """Backbone of three maps on strides 8, 16, 32 of eight channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=8, padding=3)
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in range(2))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps from fine to coarse."""
        maps = [self.stem(image).relu()]
        for layer in self.down:
            maps.append(layer(maps[-1]).relu())
        return tuple(maps)


class SameLevels(nn.Module):
    """Neck that only orders the maps: fine to coarse, or coarse to fine, as YOLOv3 wants them."""

    def __init__(self, reverse: bool = False) -> None:
        super().__init__()
        self.reverse = reverse

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Order."""
        return tuple(reversed(maps)) if self.reverse else maps


def register() -> None:
    """Make backbone and neck known to mmdet."""
    from mmdet.registry import MODELS

    for module in (TinyFeatures, SameLevels):
        MODELS.register_module(name=module.__name__, module=module, force=True)


SIGMOID_CE = {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 1.0}
SOFTMAX_CE = {'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'loss_weight': 1.0}
MAX_IOU = {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0.0, 'ignore_iof_thr': 0.5}
CODER = {'type': 'DeltaXYWHBBoxCoder', 'target_means': [0.0] * 4, 'target_stds': [1.0] * 4}
ANCHORS = {'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 2, 'ratios': [0.5, 1.0, 2.0],
           'strides': STRIDES}  # fmt: skip
ONE_ANCHOR = {'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0],
              'strides': STRIDES}  # fmt: skip
SAMPLER = {'type': 'RandomSampler', 'num': 256, 'pos_fraction': 0.5, 'neg_pos_ub': -1, 'add_gt_as_proposals': False}
NMS = {'nms_pre': 200, 'min_bbox_size': 0, 'score_thr': 0.05, 'nms': {'type': 'nms', 'iou_threshold': 0.5},
       'max_per_img': 50}  # fmt: skip
ALL = {'sampler': {'type': 'PseudoSampler'}, 'allowed_border': -1, 'pos_weight': -1, 'debug': False}


def one_stage(detector: str, head: dict[str, Any], train_cfg: dict[str, Any] | None = None) -> ConfigDict:
    """A detector of one stage on the tiny backbone."""
    return ConfigDict(
        type=detector,
        data_preprocessor={'type': 'DetDataPreprocessor', 'mean': [0.0] * 3, 'std': [255.0] * 3,
                           'pad_size_divisor': 32},
        backbone={'type': 'TinyFeatures'},
        neck={'type': 'SameLevels'},
        bbox_head={'num_classes': len(CLASSES), 'in_channels': 8, **head},
        train_cfg=train_cfg,
        test_cfg=NMS,
    )  # fmt: skip


def retinanet(loss: dict[str, Any] = SIGMOID_CE, assigner: dict[str, Any] = MAX_IOU, **train: Any) -> ConfigDict:
    """RetinaNet without stacked convolutions."""
    head = {'type': 'RetinaHead', 'stacked_convs': 0, 'feat_channels': 8, 'anchor_generator': ANCHORS,
            'bbox_coder': CODER, 'loss_cls': loss, 'loss_bbox': {'type': 'L1Loss'}}  # fmt: skip
    return one_stage('RetinaNet', head, {'assigner': assigner, **ALL, **train})


def atss() -> ConfigDict:
    """ATSS."""
    head = {'type': 'ATSSHead', 'stacked_convs': 1, 'feat_channels': 8, 'anchor_generator': ONE_ANCHOR,
            'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'loss_cls': SIGMOID_CE,
            'loss_bbox': {'type': 'GIoULoss'}}  # fmt: skip
    return one_stage('ATSS', head, {'assigner': {'type': 'ATSSAssigner', 'topk': 4}, **ALL})


def paa() -> ConfigDict:
    """PAA."""
    head = {'type': 'PAAHead', 'stacked_convs': 1, 'feat_channels': 8, 'anchor_generator': ONE_ANCHOR,
            'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'loss_cls': SIGMOID_CE,
            'loss_bbox': {'type': 'GIoULoss', 'loss_weight': 1.3}, 'topk': 5,
            'loss_centerness': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 0.5}}  # fmt: skip
    assigner = {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.1, 'neg_iou_thr': 0.1, 'min_pos_iou': 0,
                'ignore_iof_thr': -1}  # fmt: skip
    return one_stage('PAA', head, {'assigner': assigner, **ALL})


def tood(initial_epoch: int = 4) -> ConfigDict:
    """TOOD."""
    loss = {'use_sigmoid': True, 'activated': True}
    head = {'type': 'TOODHead', 'stacked_convs': 2, 'feat_channels': 8, 'anchor_generator': ONE_ANCHOR,
            'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'loss_bbox': {'type': 'GIoULoss'},
            'initial_loss_cls': {'type': 'FocalLoss', **loss}, 'loss_cls': {'type': 'QualityFocalLoss', **loss}}
    train = {'initial_epoch': initial_epoch, 'initial_assigner': {'type': 'ATSSAssigner', 'topk': 4},
             'assigner': {'type': 'TaskAlignedAssigner', 'topk': 13}, 'alpha': 1, 'beta': 6}  # fmt: skip
    return one_stage('TOOD', head, {**train, **ALL})


def yolox() -> ConfigDict:
    """YOLOX."""
    head = {'type': 'YOLOXHead', 'feat_channels': 8, 'stacked_convs': 1, 'strides': STRIDES}
    return one_stage('SingleStageDetector', head, {'assigner': {'type': 'SimOTAAssigner', 'center_radius': 2.5}})


def gfl() -> ConfigDict:
    """Generalised focal loss."""
    head = {'type': 'GFLHead', 'stacked_convs': 1, 'feat_channels': 8, 'anchor_generator': ONE_ANCHOR,
            'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'reg_max': 4,
            'loss_cls': {'type': 'QualityFocalLoss', 'use_sigmoid': True},
            'loss_bbox': {'type': 'GIoULoss'}}  # fmt: skip
    return one_stage('GFL', head, {'assigner': {'type': 'ATSSAssigner', 'topk': 4}, **ALL})


def fcos(center: bool = True) -> ConfigDict:
    """FCOS."""
    head = {'type': 'FCOSHead', 'stacked_convs': 1, 'feat_channels': 8, 'strides': STRIDES, 'center_sampling': center,
            'norm_cfg': {'type': 'GN', 'num_groups': 2}, 'regress_ranges': ((-1, 24), (24, 48), (48, 1e8)),
            'loss_cls': SIGMOID_CE}  # fmt: skip
    return one_stage('FCOS', head)


def fovea() -> ConfigDict:
    """FoveaBox."""
    head = {'type': 'FoveaHead', 'stacked_convs': 1, 'feat_channels': 8, 'strides': STRIDES,
            'base_edge_list': [16, 32, 64], 'scale_ranges': ((8, 32), (16, 64), (32, 128)), 'sigma': 0.4,
            'loss_cls': SIGMOID_CE, 'loss_bbox': {'type': 'SmoothL1Loss', 'beta': 0.11}}  # fmt: skip
    return one_stage('FOVEA', head)


def yolov3() -> ConfigDict:
    """YOLOv3; the coarsest level comes first."""
    head = {'type': 'YOLOV3Head', 'in_channels': [8, 8, 8], 'out_channels': [8, 8, 8],
            'featmap_strides': STRIDES[::-1],
            'anchor_generator': {'type': 'YOLOAnchorGenerator', 'strides': STRIDES[::-1],
                                 'base_sizes': [[(80, 60), (60, 80)], [(40, 30), (30, 40)], [(10, 13), (20, 16)]]},
            'bbox_coder': {'type': 'YOLOBBoxCoder'}}  # fmt: skip
    model = one_stage('YOLOV3', head, {'assigner': {'type': 'GridAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.5,
                                                    'min_pos_iou': 0}})  # fmt: skip
    model.neck = {'type': 'SameLevels', 'reverse': True}
    model.test_cfg = {**NMS, 'conf_thr': 0.005}
    return model


def two_stage(stages: int = 1, sampler: dict[str, Any] | None = None, classes: int = len(CLASSES)) -> ConfigDict:
    """Faster R-CNN, or Cascade R-CNN with several stages."""
    roi_sampler = sampler or {**SAMPLER, 'num': 64, 'pos_fraction': 0.25, 'add_gt_as_proposals': True}
    coder = {**CODER, 'target_stds': [0.1, 0.1, 0.2, 0.2]}
    head = {'type': 'Shared2FCBBoxHead', 'in_channels': 8, 'fc_out_channels': 16, 'roi_feat_size': 3,
            'num_classes': classes, 'bbox_coder': coder, 'reg_class_agnostic': stages > 1, 'loss_cls': SOFTMAX_CE,
            'loss_bbox': {'type': 'L1Loss'}}  # fmt: skip
    extractor = {'type': 'SingleRoIExtractor', 'roi_layer': {'type': 'RoIAlign', 'output_size': 3, 'sampling_ratio': 1},
                 'out_channels': 8, 'featmap_strides': STRIDES}  # fmt: skip
    rcnn = [
        {'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': thr, 'neg_iou_thr': thr, 'min_pos_iou': thr,
                      'match_low_quality': False, 'ignore_iof_thr': 0.5},
         'sampler': roi_sampler, 'pos_weight': -1, 'debug': False}
        for thr in (0.5, 0.6, 0.7)[:stages]
    ]  # fmt: skip
    roi_head = {'type': 'StandardRoIHead', 'bbox_roi_extractor': extractor, 'bbox_head': head}
    if stages > 1:
        roi_head = {'type': 'CascadeRoIHead', 'num_stages': stages, 'stage_loss_weights': [1.0] * stages,
                    'bbox_roi_extractor': extractor, 'bbox_head': [head] * stages}  # fmt: skip
    nms = {'nms_pre': 300, 'max_per_img': 100, 'nms': {'type': 'nms', 'iou_threshold': 0.7}, 'min_bbox_size': 0}
    rpn_assigner = {**MAX_IOU, 'pos_iou_thr': 0.7, 'neg_iou_thr': 0.3, 'min_pos_iou': 0.3}
    return ConfigDict(
        type='CascadeRCNN' if stages > 1 else 'FasterRCNN',
        data_preprocessor={'type': 'DetDataPreprocessor', 'mean': [0.0] * 3, 'std': [255.0] * 3,
                           'pad_size_divisor': 32},
        backbone={'type': 'TinyFeatures'},
        neck={'type': 'SameLevels'},
        rpn_head={'type': 'RPNHead', 'in_channels': 8, 'feat_channels': 8, 'bbox_coder': CODER,
                  'anchor_generator': {'type': 'AnchorGenerator', 'scales': [4], 'ratios': [0.5, 1.0, 2.0],
                                       'strides': STRIDES},
                  'loss_cls': SIGMOID_CE, 'loss_bbox': {'type': 'L1Loss'}},
        roi_head=roi_head,
        train_cfg={'rpn': {'assigner': rpn_assigner, 'allowed_border': -1, 'pos_weight': -1, 'debug': False,
                           'sampler': SAMPLER},
                   'rpn_proposal': nms, 'rcnn': rcnn if stages > 1 else rcnn[0]},
        test_cfg={'rpn': nms, 'rcnn': {'score_thr': 0.05, 'nms': {'type': 'nms', 'iou_threshold': 0.5},
                                       'max_per_img': 50}},
    )  # fmt: skip


def build(config: ConfigDict, seed: int = 0, init: bool = True) -> Any:
    """The model in training mode; with initialised weights where it is to run."""
    from mmdet.registry import MODELS

    register()
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(config)
    if init:
        model.init_weights()
    return model.train()


class Recorder(nn.Module):
    """Stands for a loss and counts what it is called with: samples of each class, those of weight 0 left out."""

    def __init__(self, loss: nn.Module, classes: int) -> None:
        super().__init__()
        self.loss, self.classes = loss, classes
        self.counts = np.zeros(classes + 1, np.int64)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__('loss'), name)

    def forward(self, pred: torch.Tensor, target: Any, weight: Any = None, **options: Any) -> torch.Tensor:
        """Count, then compute; PAA also asks for the losses of candidates, which is no learning."""
        if options.get('reduction_override') == 'none':
            return self.loss(pred, target, weight, **options)
        labels = target[0] if isinstance(target, tuple) else target
        kept = labels if weight is None else labels[weight.reshape(labels.shape) > 0]
        self.counts += np.bincount(kept.numpy(), minlength=self.classes + 1)
        return self.loss(pred, target, weight, **options)


def counts_in_forward(
    model: Any, head: Any, dataset: Any, images: int | None = None, loss: str = 'loss_cls'
) -> np.ndarray:
    """(C + 1,) what the head's own loss sees in a real forward of every image, one at a time."""
    from mmengine.dataset import pseudo_collate

    original = getattr(head, loss)
    recorder = Recorder(original, int(head.num_classes))
    setattr(head, loss, recorder)
    try:
        for index in range(images or len(dataset)):
            data = model.data_preprocessor(pseudo_collate([dataset[index]]), True)
            model(**data, mode='loss')
    finally:
        setattr(head, loss, original)
    return recorder.counts
