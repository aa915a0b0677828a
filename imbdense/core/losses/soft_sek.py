"""SoftSeK: the separated kappa of semantic change detection with probabilities in the place of decisions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_index_target
from imbdense.core.reduction import full_precision

MODES = ('linear', 'log')
TINY = 1e-6
OWNER = 'soft_sek_loss'


def soft_sek_loss(
    change_logits: Tensor,
    land_logits: Sequence[Tensor],
    change: Tensor,
    lands: Sequence[Tensor],
    *,
    mode: str = 'linear',
    ignore_index: int = 255,
) -> Tensor:
    """One minus the metric SeK, on soft counts: ``soft_sek_from_table(soft_sek_table(...), mode)``.

    The table is summed over all pixels and dates of the batch; see the two functions for formula and edge cases.
    Stateless; over several ranks, sum the tables before the ratio (``imbdense.SoftSeKLoss`` does).
    """
    table = soft_sek_table(change_logits, land_logits, change, lands, ignore_index=ignore_index)
    return soft_sek_from_table(table, mode)


def soft_sek_table(
    change_logits: Tensor, land_logits: Sequence[Tensor], change: Tensor, lands: Sequence[Tensor], *,
    ignore_index: int = 255,
) -> Tensor:  # fmt: skip
    """Soft confusion table Q of "unchanged" (index 0) and the S land-cover classes inside changes.

    With pc = P(changed) and q_t = softmax of the land cover at date t, a pixel predicts P_t(0) = 1 - pc and
    P_t(c) = pc q_t(c). Its label is 0 where it is unchanged and the land cover + 1 where it is changed::

        Q[i, j] = sum over pixels and dates of P_t(i) 1[label_t = j]

    A pixel whose change is ignored counts at no date; a changed pixel without a land-cover label is left out at that
    date. As one matrix product: memory is that of the probabilities.

    Args:
        change_logits: (N, K, H, W), K >= 2, channel 0 = unchanged; all others together are "changed".
        land_logits: one (N, S, H, W) per date, without a channel for "unchanged".
        change: (N, H, W), 0 = unchanged, 1 ... K - 1 = changed.
        lands: one (N, H, W) per date, 0 ... S - 1; only looked at where ``change`` is not 0.
        ignore_index: in all labels.

    Returns:
        (S + 1, S + 1), rows predicted, columns true; float32 (float64 for float64 logits), float32 under autocast.
    """
    check_index_target(change_logits, change, ignore_index, owner=OWNER)
    if len(land_logits) != len(lands) or not lands:
        raise ValueError(f'{OWNER}: need one label map per date, but got {len(lands)} for {len(land_logits)} dates.')
    with torch.autocast(change_logits.device.type, enabled=False):
        unchanged = full_precision(change_logits).softmax(1)[:, :1]
        tables = []
        for logits, land in zip(land_logits, lands):
            check_index_target(logits, land, ignore_index, owner=OWNER)
            predicted = torch.cat([unchanged, (1 - unchanged) * full_precision(logits).softmax(1)], 1)
            tables.append(_table(predicted, *change_label(change, land, ignore_index)))
        return torch.stack(tables).sum(0)


def change_label(change: Tensor, land: Tensor, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """(label, valid): 0 where unchanged, land cover + 1 where changed; ``valid`` is False where either is unknown."""
    changed = (change != 0) & (change != ignore_index)
    valid = (change != ignore_index) & ~(changed & (land == ignore_index))
    return torch.where(changed & valid, land.long() + 1, 0), valid


def soft_sek_from_table(table: Tensor, mode: str = 'linear') -> Tensor:
    """The loss of a (summed) table. With M = Q without M[0, 0], m = sum M, and marginals r, s of M::

        po = trace(M) / m,   pe = r . s / m^2,   kappa = (po - pe) / (1 - pe),   IoU1 = sum M[1:, 1:] / m
        'linear':  1 - kappa exp(IoU1 - 1)                      in [0, 2): one minus the metric SeK
        'log':     -log((1 + kappa) / 2 + 1e-6) + 1 - IoU1

    Edge cases: no label is "changed": kappa is 0 whatever is predicted, so the loss is the mean of pc (the mass of
    false alarms). All pixels have one land cover and are changed: kappa is 0 again, and kappa := po, as also where
    1 - pe < 1e-6. An empty table: 0 with a graph. Divisors are at least 1e-6; never NaN.

    Args:
        table: (S + 1, S + 1), rows predicted, columns true.
        mode: 'linear' or 'log'.

    Source: Yang et al., SECOND and SeK, TGRS 2021 (the metric); soft counts after Wijenayake et al., 2025, whose
    own loss is :func:`imbdense.core.losses.official_sek_loss`.
    """
    check_choice('mode', mode, MODES, owner=OWNER)
    kappa, overlap = _kappa_and_iou(table)
    if mode == 'linear':
        loss = 1 - kappa * torch.exp(overlap - 1)
    else:
        loss = 1 - overlap - torch.log((1 + kappa).clamp_min(0) / 2 + TINY)
    known = table.sum()
    alarms = table[1:, 0].sum() / known.clamp_min(TINY)
    loss = torch.where(table[:, 1:].sum() > 0, loss, alarms)
    return torch.where(known > 0, loss, table.sum())


def _kappa_and_iou(table: Tensor) -> tuple[Tensor, Tensor]:
    """Cohen's kappa without the correctly unchanged, and the IoU of "changed"."""
    corner = torch.zeros_like(table)
    corner[0, 0] = 1
    counts = table * (1 - corner)
    total = counts.sum().clamp_min(TINY)
    observed = counts.diagonal().sum() / total
    expected = (counts.sum(0) * counts.sum(1)).sum() / total**2
    rest = 1 - expected
    alone = (table.sum(0) > 0).sum() == 1
    kappa = torch.where(alone | (rest < TINY), observed, (observed - expected) / rest.clamp_min(TINY))
    return kappa, counts[1:, 1:].sum() / total


def _table(predicted: Tensor, label: Tensor, valid: Tensor) -> Tensor:
    """(K, K) of probabilities (N, K, H, W) by label (N, H, W)."""
    classes = predicted.shape[1]
    columns = torch.arange(classes, device=label.device)
    truth = ((label.unsqueeze(-1) == columns) & valid.unsqueeze(-1)).to(predicted.dtype)
    return predicted.movedim(1, 0).reshape(classes, -1) @ truth.reshape(-1, classes)
