"""Start of the box and dense heads whose loss trains sigmoids of its own: the loss cannot be lowered by any bias."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmdet')

from imbdense.core.losses import effective_class_margins
from imbdense.core.stats import AssignedCounts
from imbdense.mm.assigned_counts.class_layers import find_class_layers
from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.effective_class_margin import EffectiveClassMarginLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss
from imbdense.mm.losses.federated_loss import FederatedLoss
from imbdense.mm.prior_bias import start_biases

FOREGROUND, BACKGROUND = [900, 300, 90, 30], 3000
C = len(FOREGROUND)
COUNTED = (EffectiveClassMarginLoss, FederatedLoss)
LOSSES = (EQLv2Loss, ForegroundClassBalanceLoss, EffectiveClassMarginLoss, FederatedLoss)


def model_with(loss: Any, channels: int) -> nn.Module:
    model, head = nn.Module(), nn.Module()
    head.num_classes, head.loss_cls, head.fc_cls = C, loss, nn.Linear(2, channels)
    model.head = head
    return model


def build(cls: type, *, box_head: bool) -> tuple[Any, int]:
    arguments = {'class_counts': FOREGROUND} if cls in COUNTED else {}
    if box_head:
        loss = cls(**arguments)
        return loss, loss.get_cls_channels(C)
    return cls(use_sigmoid=True, **arguments), C


def started(loss: Any, channels: int, start: Any, **options: Any) -> torch.Tensor:
    return start_biases(find_class_layers(model_with(loss, channels))[0], start, **options)['head.fc_cls.bias']


@pytest.mark.parametrize('box_head', [True, False])
@pytest.mark.parametrize('cls', LOSSES)
def test_no_bias_lowers_the_first_loss(cls: type, box_head: bool) -> None:
    loss, channels = build(cls, box_head=box_head)
    counts = AssignedCounts(tuple('abcd'), FOREGROUND, BACKGROUND)
    bias = started(loss, channels, counts, per_class=True)
    target = torch.arange(C + 1).repeat_interleave(torch.tensor([*FOREGROUND, BACKGROUND]))
    pred = bias.expand(len(target), -1).clone().requires_grad_()
    if cls is EffectiveClassMarginLoss:
        loss(pred.detach(), target)  # it measures the background in what it has seen
    loss(pred, target, reduction_override='sum').backward()
    pulled = torch.stack([pred.grad[target == c, c].abs().sum() for c in range(channels)])
    assert (pred.grad.sum(0).abs() < 0.05 * pulled).all()


@pytest.mark.parametrize('cls', LOSSES)
def test_one_prior_for_all_classes(cls: type) -> None:
    loss, channels = build(cls, box_head=True)
    bias = started(loss, channels, AssignedCounts(tuple('abcd'), FOREGROUND, BACKGROUND))
    if cls is not EffectiveClassMarginLoss:
        share = sum(FOREGROUND) / (C * (sum(FOREGROUND) + BACKGROUND))
        assert bias[:C].sigmoid().tolist() == pytest.approx([share] * C)
        assert cls is FederatedLoss or bias[C].sigmoid().item() == pytest.approx(BACKGROUND / (1320 + 3000), rel=1e-3)


@pytest.mark.parametrize('cls', LOSSES)
def test_a_given_prior_holds_for_every_channel(cls: type) -> None:
    loss, channels = build(cls, box_head=True)
    bias = started(loss, channels, 0.001)
    assert bias.numel() == channels
    if cls is EffectiveClassMarginLoss:
        # its margins depend on the background, which is not known here, by a fourth root
        shift, _ = effective_class_margins(torch.tensor(FOREGROUND), channels, BACKGROUND)
        trained = (2 * bias + shift).sigmoid()
        assert (trained > 0.0005).all() and (trained < 0.002).all()
    else:
        assert bias.sigmoid().tolist() == pytest.approx([0.001] * channels)
