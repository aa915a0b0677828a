"""The losses with scores of their own, as a box head of mmdet has them, and what it feeds them."""

from __future__ import annotations

from typing import Any

import torch

from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.bags import BalancedGroupSoftmaxLoss
from imbdense.mm.losses.effective_class_margin import EffectiveClassMarginLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from imbdense.mm.losses.federated_loss import FederatedLoss
from imbdense.mm.losses.seesaw import SyncedSeesawLoss

C = 5
COUNTS = [900.0, 90.0, 9.0, 3.0, 1.0]
LOSSES = [
    SyncedSeesawLoss, EQLv2Loss, EffectiveClassMarginLoss, EBLLoss, ForegroundClassBalanceLoss, FederatedLoss,
    BalancedGroupSoftmaxLoss,
]


def make(cls: type, **arguments: Any) -> Any:
    """The loss as a box head of C classes has it."""
    if cls is BalancedGroupSoftmaxLoss:
        arguments.setdefault('class_counts', COUNTS)
    loss = cls(**arguments)
    loss.get_cls_channels(C)
    return loss


def rois(channels: int, seed: int = 0, count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Regions, three quarters background, the objects long-tailed."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(count, channels, generator=generator)
    target = torch.multinomial(torch.tensor([0.15, 0.06, 0.02, 0.01, 0.01, 0.75]), count, True, generator=generator)
    return pred, target
