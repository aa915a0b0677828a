"""What all ranks have seen: increments summed in one message, items gathered."""

from __future__ import annotations

from functools import reduce

import torch
import torch.distributed as dist
from torch import Tensor


def in_process_group() -> bool:
    """Whether this process is one rank of a default process group."""
    return dist.is_available() and dist.is_initialized()


def sum_over_ranks(*increments: Tensor) -> tuple[Tensor, ...]:
    """Return every tensor summed over the ranks of the default process group, with a single all-reduce.

    mmengine wraps DistributedDataParallel with ``broadcast_buffers=False``, so a running statistic only stays equal on
    all ranks when each adds the sum of what all have seen. Every rank must call this equally often with equal shapes.

    Args:
        increments: any shapes and dtypes. Integers that travel together with floats travel as float64, which is exact
            up to 2**53; integers alone travel as they are, float32 alone as float32.

    Returns:
        Tensors of the given shapes and dtypes; the given ones themselves without a process group.
    """
    if not in_process_group() or not increments:
        return increments
    dtypes = {item.dtype for item in increments}
    common = dtypes.pop() if len(dtypes) == 1 else reduce(torch.promote_types, dtypes, torch.float64)
    message = torch.cat([item.reshape(-1).to(common) for item in increments])
    dist.all_reduce(message)
    parts = message.split([item.numel() for item in increments])
    return tuple(part.view(item.shape).to(item.dtype) for part, item in zip(parts, increments, strict=True))


def gather_over_ranks(*items: Tensor) -> tuple[Tensor, ...]:
    """Return every tensor with those of all ranks behind each other along dim 0, in the order of the ranks.

    For memories of single items (queues, one row per image), which a sum can not describe. Every rank must call this
    equally often with tensors of equal shapes.

    Returns:
        Tensors (ranks * n, ...); the given ones themselves without a process group.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return items
    found = []
    for item in items:
        parts = [torch.empty_like(item) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, item.contiguous())
        found.append(torch.cat(parts))
    return tuple(found)
