"""An integer key that orders floats: the bin of a score histogram that needs no thresholds.

Equally spaced probability bins fail for rare classes, because nearly all scores fall into the first one. The bits of
a float, read as an integer, are already in order (signs apart); their top k bits are bins of equal *relative* width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_integer

MAX_BITS = 32


def ordered_key(scores: Tensor, bits: int = 16) -> Tensor:
    """Map floats to integers in [0, 2**bits) so that a <= b implies key(a) <= key(b).

    With u the bits of the value (after adding 0.0, so that -0.0 and 0.0 share a key): key = ~u if the sign is set,
    else u | signbit; of that the top ``bits`` bits.

    Args:
        scores: float32, float16 or bfloat16 (float64 is rounded to float32 first, which keeps the order but may make
            ties). Any shape, any device. Infinities are allowed; the key of NaN is meaningless (exclude NaN first).
        bits: 1 to 32. 16-bit floats keep at most 16 bits and need ``bits <= 16``; they are *exact* with 16: different
            values have different keys. float32 is exact with 32.

    Returns:
        int32 for ``bits <= 31``, else int64; the shape of ``scores``.
    """
    check_integer('bits', bits, low=1, high=MAX_BITS, owner='ordered_key')
    if scores.dtype in (torch.float16, torch.bfloat16):
        if bits > 16:
            raise ValueError(f'ordered_key: {scores.dtype} has 16 bits; bits={bits} needs scores.float().')
        half = (scores + 0.0).view(torch.int16)
        half = half ^ ((half >> 15) | torch.iinfo(torch.int16).min)
        return (half.to(torch.int32) & 0xFFFF) >> (16 - bits)
    if not scores.is_floating_point():
        raise TypeError(f'ordered_key: scores must be floats, but are {scores.dtype}.')
    word = (scores.to(torch.float32) + 0.0).view(torch.int32)
    flip = word >> 31
    flip |= torch.iinfo(torch.int32).min
    word ^= flip
    if bits == MAX_BITS:
        return word.to(torch.int64) & 0xFFFFFFFF
    word >>= MAX_BITS - bits
    word &= (1 << bits) - 1
    return word


def key_to_score(keys: NDArray[np.int64], bits: int = 16, dtype: torch.dtype = torch.float32) -> NDArray[np.float64]:
    """Return the lowest score of each key's bin, as float64: "score >= this" selects the bin and all above it.

    Args:
        keys: int64 keys as made by :func:`ordered_key` with the same ``bits`` from scores of ``dtype``.
    """
    width = 16 if dtype in (torch.float16, torch.bfloat16) else MAX_BITS
    word = torch.from_numpy(np.asarray(keys, dtype=np.int64)) << (width - bits)
    sign = 1 << (width - 1)
    full = (1 << width) - 1
    word = torch.where((word & sign) != 0, word & ~sign, ~word & full)
    word = torch.where(word >= sign, word - (1 << width), word)  # two's complement of the narrow integer
    narrow = word.to(torch.int16).view(dtype) if width == 16 else word.to(torch.int32).view(torch.float32)
    values: NDArray[np.float64] = narrow.to(torch.float64).numpy()
    return values
