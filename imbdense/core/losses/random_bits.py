"""Cheap random integers of torch's generator: what the randomised losses draw from for every logit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def random_integers(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Return integers uniform over all values of ``dtype`` (uint8 or int16), of ``shape``.

    Eight bytes are taken from each 64-bit draw. A draw per element (torch.rand, torch.randn) costs as much as a whole
    cross-entropy, forward and backward, at 1 x 19 x 512 x 512 on a CPU; this costs a seventh of it per byte.

    Args:
        shape, dtype, device: of the result.
        generator: ``None`` = torch's default generator of the device, which the host seeds and ExactResumeHook stores.
    """
    size = torch.Size(shape).numel()
    per_draw = 8 // dtype.itemsize
    draws = torch.empty(-(-size // per_draw), dtype=torch.int64, device=device)
    draws.random_(-(2**63), None, generator=generator)
    return draws.view(dtype)[:size].view(*shape)
