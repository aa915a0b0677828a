"""Heads that look at a pair of dates in both orders and add what they see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor, nn


def in_both_orders(head: nn.Module) -> nn.Module:
    """Let ``head`` (returned, its class changed) add its logits of the first and the second half of a batch."""
    head.__class__ = _both_orders_class(type(head))
    return head


class BothOrdersMixin:
    """The features come as (2 N, C, H, W): [a, b] in the first half, [b, a] in the other."""

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """g(a, b) + g(b, a), in two passes of equal shape: so the sum is the same bit for bit when a and b are
        swapped."""
        passes: list[Any] = []
        for half in range(2):
            levels = [level.chunk(2)[half] for level in inputs]
            passes.append(super().forward(levels))  # type: ignore[misc]
        if not all(isinstance(logits, Tensor) for logits in passes):
            raise TypeError(f'SiameseSegmentor: symmetric=True needs a head that gives one map of logits; '
                            f'{type(self).__name__} gives a {type(passes[0]).__name__}.')
        return passes[0] + passes[1]


@cache
def _both_orders_class(host: type) -> type:
    """``host`` with :class:`BothOrdersMixin` in front of it; the same class for the same host."""
    return type(f'BothOrders{host.__name__}', (BothOrdersMixin, host), {'__module__': __name__})
