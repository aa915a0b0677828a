"""Tiny semi-supervised detectors and batches with the branches of mmdet's multi-branch data."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from tests.mm.heads.tiny_detectors import CLASSES, WITH_BOXES, WITHOUT_BOXES, batch, single_stage, two_stage

KINDS = ('retina', 'atss', 'fcos', 'faster')
HOST_HEADS = {'retina': 'RetinaHead', 'atss': 'ATSSHead', 'fcos': 'FCOSHead'}
FIXED = {'type': 'imbdense.FixedThreshold', 'threshold': 0.5, 'negative': 0.2}


def detector(kind: str) -> dict[str, Any]:
    """A host detector; its assigners disregard ignored boxes, as most configs do."""
    if kind == 'faster':
        made = two_stage('FasterRCNN')
        rpn, roi = made['rpn_head'], made['roi_head']
        made['rpn_head'] = {**rpn, 'type': 'RPNHead', 'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': True}}
        made['roi_head'] = {**roi, 'bbox_head': {**roi['bbox_head'], 'type': 'Shared2FCBBoxHead'}}
        for stage in ('rpn', 'rcnn'):
            own = made['train_cfg'][stage]
            made['train_cfg'] = {**made['train_cfg'], stage: {**own, 'assigner': {**own['assigner'],
                                                                                  'ignore_iof_thr': -1}}}
        return made
    made = single_stage(kind)
    head = {**made['bbox_head'], 'type': HOST_HEADS[kind]}
    made['bbox_head'] = head
    if made['train_cfg'] and 'ignore_iof_thr' in made['train_cfg']['assigner']:
        made['train_cfg'] = {**made['train_cfg'], 'assigner': {**made['train_cfg']['assigner'], 'ignore_iof_thr': -1}}
    return made


def semi(kind: str, seed: int = 0, **changes: Any) -> Any:
    """The semi-supervised detector in train mode."""
    torch.manual_seed(seed)
    config = {'type': 'imbdense.MeanTeacherDetector', 'detector': detector(kind), 'pseudo_labeler': FIXED,
              'data_preprocessor': {'type': 'MultiBranchDataPreprocessor',
                                    'data_preprocessor': {'type': 'DetDataPreprocessor'}}, **changes}
    if config['type'] != 'imbdense.MeanTeacherDetector':
        del config['pseudo_labeler']
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(ConfigDict(config))
    model.init_weights()
    return model.train()


def branches(seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(inputs, samples) of two labelled and two unlabelled images."""
    images, samples = batch(WITH_BOXES, seed=seed)
    weak, weak_samples = batch(WITHOUT_BOXES, seed=seed + 1)
    _, strong_samples = batch(WITHOUT_BOXES, seed=seed + 1)
    inputs = {'sup': images, 'unsup_teacher': weak, 'unsup_student': weak + 0.1}
    return inputs, {'sup': samples, 'unsup_teacher': weak_samples, 'unsup_student': strong_samples}


def teacher_says(model: Any, boxes: list[list[float]], scores: list[float], labels: list[int]) -> None:
    """Make the teacher predict the same boxes on every image."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    def predict(inputs: Tensor, samples: list[Any], rescale: bool = True) -> list[Any]:
        found = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), scores=torch.tensor(scores),
                             labels=torch.tensor(labels, dtype=torch.int64))
        return [DetDataSample(pred_instances=found) for _ in samples]

    object.__setattr__(model.teacher, 'predict', predict)


__all__ = ['CLASSES', 'FIXED', 'KINDS', 'branches', 'detector', 'semi', 'teacher_says']
