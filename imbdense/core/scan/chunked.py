"""A first-order linear recurrence in two levels: exact, two square roots of L steps deep, no division, no logs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

GPU_WIDTH = 2**15
"""Numbers that one step should work on at least where every step is a kernel launch."""


def chunk_steps(length: int, rows: int = 0, gpu: bool = False) -> int:
    """How many steps a chunk has: near the square root of ``length``, a divisor of it if one is near.

    A divisor saves the copies of padding. On a GPU chunks become shorter (down to half) when one step over all chunks
    would have less than :data:`GPU_WIDTH` numbers; ``rows`` is how many sequences run side by side.
    """
    root = math.ceil(math.sqrt(length))
    if gpu:
        root = max(math.ceil(root / 2), min(root, rows * length // GPU_WIDTH), 1)
    near = [steps for steps in range(math.ceil(root / 2), 2 * root + 1) if length % steps == 0]
    return min(near, key=lambda steps: abs(steps - root), default=root)


def pad_steps(tensor: Tensor, steps: int) -> Tensor:
    """(..., L, D) with zeros behind, so that L is a multiple of ``steps``."""
    missing = -tensor.shape[-2] % steps
    return F.pad(tensor, (0, 0, 0, missing)) if missing else tensor


def as_steps(tensor: Tensor, steps: int) -> list[Tensor]:
    """Views (..., chunks, D) of (..., L, D): the first elements of all chunks, the second ones, ..."""
    chunks = tensor.unflatten(-2, (-1, steps))
    # Not unbind: autograd, under which an exported graph may run, forbids to write into its views.
    return [chunks.select(-2, step) for step in range(steps)]


def scan_steps(
    decay: Sequence[Tensor], state: Sequence[Tensor], start: Tensor, *, reverse: bool = False, products: bool = False
) -> Tensor:
    """h_t = a_t h_{t-1} + b_t over all chunks at once, **in place**: ``state`` holds b and becomes h.

    1. Every chunk by itself from zero, keeping only its end and the product of its a (nothing is stored).
    2. The ends are carried from chunk to chunk.
    3. Every chunk again, now from its true start.

    Only products of the a are formed. With a in [0, 1] nothing can overflow, however long the sequence.

    Args:
        decay: a, as views (..., n, D) from :func:`as_steps`, in the order they are to be visited.
        state: b, likewise.
        start: (..., D), h before the first element.
        reverse: visit the chunks from the last to the first (the lists are then reversed by the caller as well).
        products: ``decay`` becomes a_t h_{t-1} on the way (it must not share memory with ``state``).

    Returns:
        (..., D), h behind the last element.
    """
    carry = _chunk_starts(decay, state, start, reverse)
    for a, h in zip(decay, state):
        if products:
            a.mul_(carry)
            h.add_(a)
        else:
            h.addcmul_(a, carry)
        carry = h
    return carry.select(-2, 0 if reverse else -1)


def _chunk_starts(decay: Sequence[Tensor], state: Sequence[Tensor], start: Tensor, reverse: bool) -> Tensor:
    """(..., n, D): h before the first element of each chunk."""
    number = state[0].shape[-2]
    if number == 1:
        return start.unsqueeze(-2)
    end, product = state[0], decay[0]
    for a, b in zip(decay[1:], state[1:]):
        end, product = torch.addcmul(b, a, end), product * a
    order = range(number - 1, -1, -1) if reverse else range(number)
    starts, ends, products = [start] * number, end.unbind(-2), product.unbind(-2)
    for chunk in order:
        starts[chunk] = start
        start = torch.addcmul(ends[chunk], products[chunk], start)
    return torch.stack(starts, -2)
