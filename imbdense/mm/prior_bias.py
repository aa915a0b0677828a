"""From counts to the biases of a head's class layers, in the layout of each kind of head."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.losses import (
    per_class_sigmoid_bias,
    per_class_softmax_bias,
    prior_to_bias,
    shared_sigmoid_bias,
    shared_softmax_bias,
)
from imbdense.core.stats import AssignedCounts
from imbdense.mm.assigned_counts.class_layers import ClassLayer
from imbdense.mm.losses.scores import SigmoidScores

Start = AssignedCounts | float
"""What a bias is made of: counted samples, or the probability of each class."""


def start_biases(layer: ClassLayer, start: Start, *, per_class: bool = False) -> dict[str, Tensor]:
    """Return name -> value of every bias of ``layer``, with which its loss starts lowest.

    What the head's loss does with its logits is taken into account: class weights (its own or the host's) weigh the
    counts, and a shift that it adds (balanced softmax, logit adjustment) is taken off the bias, so that nothing is
    corrected twice.

    Args:
        layer: where the logits are made.
        start: counts of this head's samples (pixels with background 0 for ``conv_seg``), or a probability for each
            class.
        per_class: each class at its own frequency; else all at the shared prior. Segmentation is always per class,
            because a softmax over classes alone does not see a bias they share.

    Raises:
        ValueError: a probability that does not fit a softmax; channels that do not fit the classes.
    """
    biases = layer.biases()
    if layer.name == 'convs_pred':
        return {name: _yolo_bias(layer, bias, start, per_class) for name, bias in biases.items()}
    if layer.name == 'tood_cls':
        return _tood_bias(layer, biases, _class_bias(layer, start, per_class))
    make = _pixel_bias if layer.name == 'conv_seg' else _class_bias
    values = make(layer, start, per_class)
    return {name: _tiled(name, bias, values) for name, bias in biases.items()}


def loss_terms(loss: Any, counts: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return (shift, weight), each (channels,) float64: what ``loss`` adds to the logits, and its class weights.

    Args:
        loss: a loss module of a host or of ours.
        counts: (C,) what is counted where the loss has no counts of its own.
        channels: C, or C + 1 with a background.
    """
    shift, weight = torch.zeros(channels, dtype=torch.float64), torch.ones(channels, dtype=torch.float64)
    # A loss whose rebalancing is deferred starts as its plain self.
    if callable(getattr(loss, 'terms', None)) and getattr(loss, 'rebalancing', True):
        known = loss.known_counts()
        own_shift, own_weight = loss.terms((counts if known is None else known).cpu().double(), channels)
        if own_shift is not None:
            # A class taken out of the loss has a huge negative shift; its logit needs no compensation.
            shift = torch.where(own_shift > -1e3, own_shift.double(), 0.0)
        weight = weight if own_weight is None else own_weight.double()
    fixed = getattr(loss, 'class_weight', None)
    if fixed is not None and not isinstance(fixed, (int, float)) and len(fixed) == channels:
        weight = weight * torch.as_tensor(fixed, dtype=torch.float64)
    return shift.cpu(), weight.cpu()


def _class_bias(layer: ClassLayer, start: Start, per_class: bool) -> Tensor:
    """(C,) sigmoid or (C + 1,) softmax biases of a detection head."""
    loss, classes = layer.head.loss_cls, int(layer.head.num_classes)
    if isinstance(loss, SigmoidScores):
        return _own_sigmoid_bias(layer, start, per_class)
    sigmoid = bool(getattr(loss, 'use_sigmoid', False))
    if isinstance(start, float):
        return _given(layer, start, classes, sigmoid)
    found, background = _matched(layer.head, start)
    shift, weight = loss_terms(loss, found, classes if sigmoid else classes + 1)
    foreground = found * weight[:classes]
    if sigmoid and per_class:
        bias = per_class_sigmoid_bias(foreground, background)
    elif sigmoid:
        bias = torch.full((classes,), shared_sigmoid_bias(float(foreground.sum()), background, classes)).double()
    elif per_class:
        bias = per_class_softmax_bias(foreground, background * float(weight[-1]))
    else:
        bias = shared_softmax_bias(float(foreground.sum()), background * float(weight[-1]), classes)
    return bias - shift


def _own_sigmoid_bias(layer: ClassLayer, start: Start, per_class: bool) -> Tensor:
    """Biases of a loss that trains sigmoids of its own: the classes, and a channel for the background where it has one.

    A prior that is given holds for every channel, as in the released heads of EQLv2 and BACL (0.001).
    """
    loss, classes = layer.head.loss_cls, int(layer.head.num_classes)
    if isinstance(start, float):
        found, background = torch.ones(classes, dtype=torch.float64), float(classes)  # unknown, so half of each
        log_odds = torch.full((classes + 1,), prior_to_bias(start), dtype=torch.float64)
    else:
        found, background = _matched(layer.head, start)
        weighted = found * loss_terms(loss, found, classes)[1]
        if per_class:
            own = per_class_sigmoid_bias(weighted, background)
        else:
            own = torch.full((classes,), shared_sigmoid_bias(float(weighted.sum()), background, classes)).double()
        log_odds = torch.cat([own, torch.log((background + 1.0) / (found.sum() + 1.0)).view(1)])
    if loss.use_sigmoid:
        channels = classes
    else:
        channels = classes + 1 if loss.roi_classes is None else loss.roi_channels(classes)
    return loss.start_logits(log_odds[:channels], found, background)


def _matched(head: Any, counts: AssignedCounts) -> tuple[Tensor, float]:
    """(C,) foreground and the background of a head, where an object may be answered by several queries.

    ``FrequencyHungarianAssigner.matches`` tells by how many, once it knows the classes.
    """
    found = torch.as_tensor(counts.foreground, dtype=torch.float64)
    matches = getattr(getattr(head, 'assigner', None), 'matches', None)
    if callable(matches):
        found = found * torch.as_tensor(matches(), dtype=torch.float64)
    return found, max(float(counts.total) - float(found.sum()), 0.0)


def _given(layer: ClassLayer, prior: float, classes: int, sigmoid: bool) -> Tensor:
    """Biases for a prior that the user gives."""
    bias = prior_to_bias(prior)
    if sigmoid:
        return torch.full((classes,), bias, dtype=torch.float64)
    if classes * prior >= 1.0:
        raise ValueError(
            f'{layer.dotted}: prior={prior} for each of {classes} classes leaves nothing for the background of a '
            f'softmax; it must be below {1 / classes:.4g}.'
        )
    values = torch.zeros(classes + 1, dtype=torch.float64)
    values[-1] = math.log((1.0 - classes * prior) / prior)
    return values


def _pixel_bias(layer: ClassLayer, start: Start, per_class: bool) -> Tensor:
    """(K,) biases of a segmentation head, or (1,) of a binary one with one channel."""
    head = layer.head
    loss = _classifying(head.loss_decode)
    channels = int(head.out_channels)
    sigmoid = bool(getattr(loss, 'use_sigmoid', False))
    if isinstance(start, float):
        if not sigmoid:
            raise ValueError(f'{layer.dotted}: prior={start} says nothing about a softmax over classes; leave it out.')
        return _given(layer, start, channels, sigmoid)
    pixels = torch.as_tensor(start.foreground, dtype=torch.float64)
    if channels == 1:
        return torch.logit((pixels[-1:] + 1.0) / (pixels.sum() + 2.0))
    shift, weight = loss_terms(loss, pixels, channels)
    if sigmoid:
        return per_class_sigmoid_bias(pixels * weight) - shift
    values = per_class_softmax_bias(pixels * weight) - shift
    return values - values.mean()


def _classifying(losses: Any) -> Any:
    """Of several losses of a segmentation head the first cross-entropy; a Dice has no prior to start from."""
    every = list(losses) if isinstance(losses, nn.ModuleList) else [losses]
    for loss in every:
        if hasattr(loss, 'cls_criterion') or callable(getattr(loss, 'terms', None)):
            return loss
    return every[0]


def _yolo_bias(layer: ClassLayer, bias: Tensor, start: Start, per_class: bool) -> Tensor:
    """Biases of one level of a YOLOv3 head: objectness at N_f / N, classes at their share of the objects.

    The class channels of YOLOv3 learn from assigned anchors only, so they start at the class given an object. A head
    without an objectness channel (four box channels, then the classes) learns them from all anchors. With a single
    class and an objectness channel the class is certain, and its bias stays.
    """
    head = layer.head
    classes = int(head.num_classes)
    cells = bias.detach().clone().double().view(int(head.num_base_priors), -1)
    objectness = cells.shape[1] - 4 - classes
    if objectness not in (0, 1):
        raise ValueError(f'{layer.dotted}: {cells.shape[1]} channels per anchor are not 4 or 5 plus {classes} classes.')
    if isinstance(start, float):
        cells[:, 4:] = prior_to_bias(start)
        return cells.flatten()
    found = torch.as_tensor(start.foreground, dtype=torch.float64)
    foreground, background = float(start.num_foreground), float(start.background)
    if objectness:
        cells[:, 4] = shared_sigmoid_bias(foreground, background, 1)
        background = 0.0
        if classes == 1:
            return cells.flatten()
    if per_class:
        cells[:, 4 + objectness :] = per_class_sigmoid_bias(found, background)
    else:
        cells[:, 4 + objectness :] = shared_sigmoid_bias(foreground, background, classes)
    return cells.flatten()


def _tood_bias(layer: ClassLayer, biases: dict[str, Tensor], values: Tensor) -> dict[str, Tensor]:
    """Biases whose geometric mean of probabilities, ``sqrt(sigmoid(a_c) sigmoid(b))``, is sigmoid of ``values`` (C,).

    The one ``b`` of all classes starts at the most frequent class, so that no a_c has to be above it.
    """
    shared = values.max()
    log_score = 2 * nn.functional.logsigmoid(values) - nn.functional.logsigmoid(shared)
    own = log_score - torch.log(-torch.expm1(log_score))
    return {
        name: _tiled(name, bias, own) if name.startswith(layer.dotted) else _tiled(name, bias, shared[None])
        for name, bias in biases.items()
    }


def _tiled(name: str, bias: Tensor, values: Tensor) -> Tensor:
    """The values once per anchor of a place: channels are ordered anchor by anchor."""
    repeats, rest = divmod(bias.numel(), values.numel())
    if rest:
        raise ValueError(
            f'{name} has {bias.numel()} channels, which is no multiple of the {values.numel()} of its classes; this '
            f'kind of head is not known.'
        )
    return values.repeat(repeats)
