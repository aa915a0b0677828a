"""The SeK loss as released with Mamba-FCS, kept to compare with and to continue its runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_index_target
from imbdense.core.reduction import full_precision, zero_with_graph

EPS = 1e-6
BETA = 1.5
GAMMA = 0.5


def official_sek_loss(
    land_logits: Sequence[Tensor], change: Tensor, lands: Sequence[Tensor], *, ignore_index: int = 255
) -> Tensor:
    """On the pixels labelled changed, with P the softmax over all S + 1 channels and class 0 cut from the soft table::

        kappa = mean over dates of (po - pe) / (1 - pe + eps)
        wIoU  = mean over dates of sum_c w_c I_c / (U_c + eps),   w_c ~ 1 / log(n_c + 1 + eps), sum_c w_c = 1
        loss  = max(0, -log(kappa exp(1.5 wIoU) + eps) - 0.5 log(wIoU + eps))

    **Known defects, kept on purpose.** A class without a pixel in the batch takes nearly all the weight, so wIoU is
    about 0 and the loss stays near 7 with hardly a gradient. Worse than chance (kappa < 0) it is NaN. From
    kappa exp(1.5 wIoU) sqrt(wIoU) = 1 on it is an exact 0 without a gradient, so a decent model learns nothing from it.
    False alarms and misses of the change map are not in it. Use :func:`imbdense.core.losses.soft_sek_loss`.

    Different from the release: eps is 1e-6 in the first call too (there 1e-7, once); changed pixels without a
    land-cover label are left out (there a crash); without a changed pixel the 0 keeps a graph.

    Args:
        land_logits: one (N, S + 1, H, W) per date; channel 0 is "unchanged".
        change: (N, H, W), 0 = unchanged.
        lands: one (N, H, W) per date, 0 ... S - 1.
        ignore_index: in all labels.

    Returns:
        float32 scalar, possibly NaN (see above).

    Source: Wijenayake et al., Mamba-FCS, 2025, and its released code.
    """
    kappas, overlaps = [], []
    for logits, land in zip(land_logits, lands):
        check_index_target(logits, land, ignore_index, values=logits.shape[1] - 1, owner='official_sek_loss')
        mask = (change != 0) & (change != ignore_index) & (land != ignore_index)
        predicted = full_precision(logits).softmax(1).movedim(1, -1)[mask]
        truth = F.one_hot(land[mask].long() + 1, logits.shape[1]).to(predicted.dtype)
        if not len(predicted):
            return zero_with_graph(torch.cat([item.flatten() for item in land_logits]))
        with torch.autocast(logits.device.type, enabled=False):
            kappas.append(_kappa((predicted.T @ truth)[1:, 1:]))
        overlaps.append(_weighted_iou(predicted[:, 1:], truth[:, 1:]))
    kappa, overlap = torch.stack(kappas).mean(), torch.stack(overlaps).mean()
    loss = -(kappa * torch.exp(BETA * overlap) + EPS).log() - GAMMA * (overlap + EPS).log()
    return loss.clamp_min(0.0)


def _kappa(table: Tensor) -> Tensor:
    """Cohen's kappa of a soft table."""
    total = table.sum()
    expected = (table.sum(0) * table.sum(1)).sum() / total**2
    return (table.diagonal().sum() / total - expected) / (1 - expected + EPS)


def _weighted_iou(predicted: Tensor, truth: Tensor) -> Tensor:
    """IoU per class, rare ones weighing more."""
    overlap, number = (predicted * truth).sum(0), truth.sum(0)
    weight = 1 / torch.log(number + 1 + EPS)
    return (overlap / (predicted.sum(0) + number - overlap + EPS) * weight / weight.sum()).sum()
