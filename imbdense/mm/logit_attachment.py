"""Putting a calibration between a finished model and its post-processing, and taking it away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from imbdense.core.inference import LogitCalibration
from imbdense.mm.inference.head_facts import family, gives_probabilities

MASK_HEADS = ('MaskFormerHead', 'Mask2FormerHead')
"""Heads whose segmentation output is a class score in [0, queries], not a logit."""
SCORE_FLOOR = 1e-6
"""Added to class scores before their logarithm is taken."""

PROBABILITY_EPS = 1e-12
"""Distance to 0 and 1 that class probabilities keep before their log-odds are taken."""

Remover = Callable[[], None]


def attach_logit_map(model: Any, calibration: LogitCalibration, owner: str) -> list[Remover]:
    """Make ``model`` calibrate its class logits when it is not training; return the functions that undo it.

    mmseg segmentors: behind ``encode_decode`` (so also sliding windows and test-time augmentation), class scores of
    MaskFormer heads in the log domain. mmdet detectors: behind every head with ``loss_cls`` and as many classes, region
    proposal heads excepted; and per-class thresholds on the finished detections.

    Raises:
        TypeError: no part of the model is known to make class logits of that number of classes.
    """
    if hasattr(model, 'predict_on'):
        model = model.predictor  # the network of a teacher-student segmentor that predicts
    if hasattr(model, 'decode_head'):
        return [_wrap_segmentor(model, calibration, owner)]
    heads = [head for head in _class_heads(model) if head.num_classes == calibration.num_classes]
    if not heads:
        raise TypeError(
            f'{owner}: found no head with {calibration.num_classes} classes in {type(model).__name__}; known are '
            f'mmseg segmentors with a decode_head and mmdet heads with loss_cls and num_classes.'
        )
    removers: list[Remover] = []
    if calibration.moves_logits:  # a threshold alone also suits heads whose channels are no class logits (Seesaw)
        removers = [head.register_forward_hook(_HeadMap(head, calibration)).remove for head in heads]
    if calibration.thresholds is not None:
        removers.append(_filter_detections(model, calibration.thresholds))
    return removers


def _class_heads(model: Any) -> Iterator[Any]:
    """The heads of a detector with a class loss and ``num_classes``, the region proposal head excepted."""
    proposal = set(model.rpn_head.modules()) if hasattr(model, 'rpn_head') else set()
    for module in model.modules():
        scored = hasattr(module, 'loss_cls') or family(module) == 'centernet'
        if module not in proposal and scored and hasattr(module, 'num_classes'):
            yield module


def _wrap_segmentor(model: Any, calibration: LogitCalibration, owner: str) -> Remover:
    """Shadow ``encode_decode`` (else ``postprocess_result``) on this instance; the class stays as it is."""
    scores = any(cls.__name__ in MASK_HEADS for cls in type(model.decode_head).__mro__)
    name = 'encode_decode' if hasattr(model, 'encode_decode') else 'postprocess_result'
    original = getattr(model, name)

    def adjust(logits: Tensor) -> Tensor:
        binary = logits.shape[1] == 1 and calibration.num_classes == 2
        if logits.shape[1] != calibration.num_classes and not binary:
            raise ValueError(
                f'{owner}: the model has {logits.shape[1]} channels but the prior has {calibration.num_classes} '
                f'classes. Were the classes counted with the same class list and reduce_zero_label?'
            )
        base = torch.log(logits.float() + SCORE_FLOOR) if scores else logits
        return calibration.apply(base, dim=1).to(base.dtype)

    def encode_decode(*args: Any, **kwargs: Any) -> Tensor:
        return adjust(original(*args, **kwargs))

    def postprocess_result(seg_logits: Tensor, *args: Any, **kwargs: Any) -> Any:
        return original(adjust(seg_logits), *args, **kwargs)

    object.__setattr__(model, name, encode_decode if name == 'encode_decode' else postprocess_result)
    return lambda: model.__dict__.pop(name, None) and None


class _HeadMap:
    """Forward hook of an mmdet head: calibrates the class logits, whatever their layout.

    ====================  ==========================================================================
    most heads            the first output holds logits, per level (N, anchors * channels, H, W) or (..., channels)
    YOLOv3                of each anchor's numbers the last C are class logits
    CenterNet, TOOD       the first output holds probabilities: they are calibrated in the log-odds domain
    ====================  ==========================================================================
    """

    def __init__(self, head: Any, calibration: LogitCalibration) -> None:
        self.probabilities = gives_probabilities(head)
        self.numbers = int(head.num_attrib) if family(head) == 'yolov3' else None
        self.use_sigmoid = self.probabilities or bool(getattr(head.loss_cls, 'use_sigmoid', False))
        self.calibration = calibration

    def __call__(self, head: Any, inputs: Any, output: Any) -> Any:
        if head.training:
            return None
        first, *rest = output if isinstance(output, (tuple, list)) else (output,)
        if isinstance(first, (list, tuple)):  # one map per feature level, or one query table per decoder layer
            adjusted = type(first)(self._map(item, 1 if item.ndim == 4 else -1) for item in first)
        else:
            adjusted = None if first is None else self._map(first, -1)
        return (adjusted, *rest) if isinstance(output, (tuple, list)) else adjusted

    def _map(self, values: Tensor, dim: int) -> Tensor:
        """Maps (N, anchors * channels, H, W) for dim 1, or (..., channels) for dim -1."""
        if self.numbers is not None:
            anchors = values.unflatten(1, (-1, self.numbers)).clone()
            classes = anchors[:, :, -self.calibration.num_classes :]
            classes.copy_(self.calibration.apply(classes, dim=2, use_sigmoid=True))
            return anchors.flatten(1, 2)
        logits = torch.logit(values.double(), eps=PROBABILITY_EPS) if self.probabilities else values
        found = self.calibration.apply(logits, dim=dim, use_sigmoid=self.use_sigmoid)
        return (found.sigmoid() if self.probabilities else found).to(values.dtype)


def _filter_detections(model: Any, thresholds: tuple[float, ...]) -> Remover:
    """Drop finished detections below the threshold of their class."""
    original = model.add_pred_to_datasample

    def add_pred_to_datasample(data_samples: Any, results_list: Any) -> Any:
        kept = []
        for found in results_list:
            least = found.scores.new_tensor(thresholds)
            kept.append(found[found.scores >= least[found.labels]] if len(found) else found)
        return original(data_samples, kept)

    object.__setattr__(model, 'add_pred_to_datasample', add_pred_to_datasample)
    return lambda: model.__dict__.pop('add_pred_to_datasample', None) and None
