"""For every item of a data set, how much of it was last confidently predicted as each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import reads_values
from imbdense.core.stats import gather_over_ranks


def confident_shares(predicted: Tensor, confident: Tensor, valid: Tensor, num_classes: int) -> Tensor:
    """(N, K) float32: of the valid elements of each item, the share that is confidently predicted as c.

    Args:
        predicted, confident, valid: (N, *spatial), or (P,) where every element is an item.
        num_classes: K.
    """
    items = predicted.shape[0]
    classes = torch.where(confident, predicted, num_classes).reshape(items, -1)
    amounts = torch.zeros(items, num_classes + 1, device=predicted.device)
    amounts.scatter_add_(1, classes, torch.ones_like(classes, dtype=amounts.dtype))
    number = valid.reshape(items, -1).sum(1, keepdim=True).clamp_min(1)
    return amounts[:, :num_classes] / number


class ItemShares(nn.Module):
    """One row of shares per item, and their sum, kept up to date without looking at all rows.

    State (persistent): ``rows`` (items, K) float32, ``total`` (K,) float64. Rows visited on any rank are written on
    all.

    Args:
        num_items: items of the data set.
        num_classes: K.
    """

    rows: Tensor
    total: Tensor

    def __init__(self, num_items: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer('rows', torch.zeros(num_items, num_classes))
        self.register_buffer('total', torch.zeros(num_classes, dtype=torch.float64))

    def shares(self) -> Tensor:
        """(K,) float64: mean row; 1 - their sum has no confident label so far."""
        return self.total / self.rows.shape[0]

    @torch.no_grad()
    def replace(self, indices: Tensor, rows: Tensor) -> None:
        """Write the rows (N, K) of the items (N,) where they hold anything; of an item given twice, the last.

        Raises:
            ValueError: an index is outside the data set (checked on CPU).
        """
        number = self.rows.shape[0]
        if reads_values(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < number:
            raise ValueError(
                f'FlexThreshold: indices must lie in [0, num_items={number}), but span '
                f'[{int(indices.min())}, {int(indices.max())}].'
            )
        indices, rows = gather_over_ranks(indices.to(self.rows.device, torch.int64), rows.to(self.rows))
        filled = rows.sum(1) > 0
        later = (indices.unsqueeze(1) == indices.unsqueeze(0)).triu(1) & filled.unsqueeze(0)
        change = torch.where((filled & ~later.any(1)).unsqueeze(1), rows - self.rows[indices], 0.0)
        self.rows.index_add_(0, indices, change)
        self.total += change.double().sum(0)
