"""Several losses of one label map, as the heads of change detection have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.reduction import zero_with_graph

Configs = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def build_losses(configs: Configs) -> nn.ModuleList:
    """One or several losses of a host or of imbdense."""
    listed = [configs] if isinstance(configs, Mapping) else list(configs)
    return nn.ModuleList(HOST_MODELS.build(dict(config)) for config in listed)


def label_losses(losses: nn.ModuleList, logits: Tensor, target: Tensor, ignore_index: int) -> dict[str, Tensor]:
    """Loss name -> value; losses of equal names are added.

    A map without any label gives exact zeros with a graph: losses of the hosts return NaN or an empty tensor there.
    """
    labelled = bool((target != ignore_index).any())
    found: dict[str, Tensor] = {}
    for loss in losses:
        value = loss(logits, target, ignore_index=ignore_index) if labelled else zero_with_graph(logits)
        found[loss.loss_name] = found[loss.loss_name] + value if loss.loss_name in found else value
    return found
