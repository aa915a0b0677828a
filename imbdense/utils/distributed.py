"""Sums over ranks with plain ``torch.distributed``: one collective for any number of integer tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray


def rank_and_world() -> tuple[int, int]:
    """Return (rank, number of ranks); (0, 1) when no process group is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def launched_rank(environment: Mapping[str, str]) -> tuple[int, int]:
    """(rank, number of ranks) as torchrun or SLURM say; (0, 1) for a plain start."""
    for rank, world in (('RANK', 'WORLD_SIZE'), ('SLURM_PROCID', 'SLURM_NTASKS')):
        if rank in environment and world in environment:
            return int(environment[rank]), int(environment[world])
    return 0, 1


def collective_device() -> torch.device:
    """Return the device the default group can reduce on: the current GPU for NCCL, otherwise the CPU."""
    if dist.is_available() and dist.is_initialized() and 'nccl' in str(dist.get_backend()):
        return torch.device('cuda', torch.cuda.current_device())
    return torch.device('cpu')


def sum_over_ranks(tables: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the element-wise sum of every table over all ranks; a copy of the input when there is one rank.

    All int64 tables travel in one all-reduce and all float64 tables in a second one (left out when there are none),
    in the sorted order of their names, so it does not matter in which order a rank made them. Integer sums are exact
    and do not depend on the order of the ranks. **Collective:** every rank must call it with the same names, shapes
    and dtypes, also a rank that saw no sample (zeros).

    Args:
        tables: name -> array of any shape, int64 or float64.

    Raises:
        TypeError: another dtype; 32-bit sums would lose counts.
    """
    for name, table in tables.items():
        if table.dtype not in (np.int64, np.float64):
            raise TypeError(f'sum_over_ranks: {name} must be int64 or float64, but is {table.dtype}.')
    if rank_and_world()[1] == 1:
        return {name: table.copy() for name, table in tables.items()}
    summed: dict[str, NDArray[Any]] = {}
    for dtype in (np.int64, np.float64):
        names = sorted(name for name, table in tables.items() if table.dtype == dtype)
        if not names:
            continue
        flat = torch.from_numpy(np.concatenate([tables[name].ravel() for name in names])).to(collective_device())
        dist.all_reduce(flat)
        values, start = flat.cpu().numpy(), 0
        for name in names:
            size = tables[name].size
            summed[name] = values[start : start + size].reshape(tables[name].shape)
            start += size
    return {name: summed[name] for name in tables}


def gather_objects(value: Any) -> list[Any]:
    """Return the ``value`` of every rank, in rank order, on every rank (picklable; meant for short lists).

    **Collective:** every rank must call it.
    """
    world = rank_and_world()[1]
    if world == 1:
        return [value]
    gathered: list[Any] = [None] * world
    dist.all_gather_object(gathered, value)
    return gathered


def interleave(shares: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the items of all ranks in the order of the data set: item k of rank r has the place k * world + r.

    This undoes the split of mmengine's ``DefaultSampler`` (and torch's ``DistributedSampler``), whose padding therefore
    lies at the end of the returned list.
    """
    longest = max((len(share) for share in shares), default=0)
    return [share[k] for k in range(longest) for share in shares if k < len(share)]
