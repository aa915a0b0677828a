"""Which rank updates which matrix, and how the others get the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

GATHER_TIMEOUT = timedelta(seconds=120)
"""How long a rank waits for the others before it says that they did not come."""


def world_size() -> int:
    """Ranks of the default group; 1 when there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def owners(params: Sequence[Tensor], world: int) -> list[int]:
    """The rank that updates each parameter: dealt out in turn, largest first, ties in order of registration."""
    found = [0] * len(params)
    for place, index in enumerate(sorted(range(len(params)), key=lambda i: (-params[i].numel(), i))):
        found[index] = place % world
    return found


def share(tensors: Sequence[Tensor], owner: Sequence[int]) -> None:
    """Give every rank the tensors of their owners, one broadcast per rank, dtype and device (collective)."""
    for rank in range(world_size()):
        alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor, theirs in zip(tensors, owner):
            if theirs == rank:
                alike.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for members in alike.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in members])
            dist.broadcast(flat, src=rank)
            if rank != dist.get_rank():
                for tensor, part in zip(members, flat.split([tensor.numel() for tensor in members])):
                    tensor.copy_(part.view(tensor.shape))


def gather_objects(value: Any) -> list[Any]:
    """The ``value`` of every rank on every rank (collective)."""
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found


def waiting_group() -> Any:
    """A group whose ranks can wait for each other with a time limit, which only gloo can (collective to make)."""
    if 'nccl' not in str(dist.get_backend()):
        return dist.group.WORLD
    return dist.new_group(backend='gloo', timeout=GATHER_TIMEOUT)


def wait_for_all(group: Any) -> None:
    """Return when all ranks have come here.

    Raises:
        RuntimeError: one did not within :data:`GATHER_TIMEOUT`.
    """
    try:
        dist.monitored_barrier(group, timeout=GATHER_TIMEOUT)
    except RuntimeError as error:
        raise RuntimeError(
            'MuonAdamW(distribute=True): the momentum lies on all ranks, so state_dict() must be called by all of '
            'them, but one did not come. Where only rank 0 saves (mmengine), call consolidate_state() on every rank '
            'before; imbdense.AtomicCheckpointHook, which `imbdense train` uses, does so. Or set distribute=False.'
        ) from error


def refuse_shards(param: Tensor) -> None:
    """Raise ``TypeError`` for a parameter of which this rank holds only a part (DTensor, FSDP)."""
    modules = (sys.modules.get(name) for name in ('torch.distributed.tensor', 'torch.distributed._tensor'))
    kinds = tuple(module.DTensor for module in modules if module is not None and hasattr(module, 'DTensor'))
    sharded = bool(kinds) and isinstance(param, kinds)
    if sharded or any(getattr(param, mark, False) for mark in ('_is_flat_param', '_fsdp_flattened')):
        raise TypeError(
            'MuonAdamW: got a sharded parameter (DTensor or FSDP). A matrix can only be orthogonalised as a whole; on '
            'shards the result would be wrong without any error. Train with DistributedDataParallel, where '
            'distribute=True shares the work between the ranks, or take AdamW.'
        )
