"""Shuffled batch norm: keys are normalised in other company than their queries."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from imbdense.core.stats import gather_over_ranks

Encode = Callable[[Tensor], tuple[Tensor, ...]]


def several_ranks() -> bool:
    """Whether there are several ranks."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def encode_in_groups(encode: Encode, images: Tensor, groups: int) -> tuple[Tensor, ...]:
    """Encode ``groups`` parts of a batch one after the other, so that batch norm sees each part for itself."""
    parts = [encode(part) for part in images.tensor_split(groups)]
    return tuple(torch.cat(item) for item in zip(*parts))


@torch.no_grad()
def encode_shuffled(encode: Encode, images: Tensor, groups: int) -> tuple[Tensor, ...]:
    """Encode a batch in groups of random members; the results of all ranks, in the order they came in.

    The embedding of a query carries the batch statistics of its group. Where its key is normalised over the same
    images, that alone tells it from the older keys of a queue, and nothing need be learned. So the images are permuted
    before they are encoded: over all ranks, each of which encodes an equal share; or, on one device, within the batch,
    which is encoded in ``groups`` parts (queries must be encoded in as many, unshuffled).

    Args:
        encode: (n, ...) -> tensors (n, ...) in float32.
        images: (N, ...), equally many on every rank.
        groups: parts on one device; with several ranks the ranks are the groups.

    Returns:
        Tensors (ranks * N, ...); :func:`own_rows` takes those of this rank.

    Source: He et al., MoCo, CVPR 2020, section 3.3.
    """
    if not several_ranks():
        order = torch.randperm(images.shape[0], device=images.device)
        encoded = encode_in_groups(encode, images[order], groups)
    else:
        (everyone,) = gather_over_ranks(images)
        order = torch.randperm(everyone.shape[0], device=images.device)
        dist.broadcast(order, src=0)
        encoded = gather_over_ranks(*encode(everyone[own_rows(order)]))
    back = order.argsort()
    return tuple(item[back] for item in encoded)


def own_rows(rows: Tensor) -> Tensor:
    """The rows of this rank among those of all."""
    if not several_ranks():
        return rows
    return rows.tensor_split(dist.get_world_size())[dist.get_rank()]
