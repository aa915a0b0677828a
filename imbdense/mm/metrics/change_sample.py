"""Reading the maps of a change-detection sample as bytes: 255 is "unknown" everywhere from here on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.core.metrics.change_states import UNKNOWN
from imbdense.mm.metrics.dense_sample import field_of, place_of


def byte_map(sample: Mapping[str, Any], key: str, owner: str, ignore_index: int = UNKNOWN) -> Tensor:
    """Return ``sample[key]`` as uint8 (H, W) with ``ignore_index`` turned into 255.

    Raises:
        KeyError: the sample lacks it. ValueError: it holds something else than whole numbers 0 ... 255.
    """
    data = field_of(sample, key, owner)
    if ignore_index != UNKNOWN:
        data = torch.where(data == ignore_index, UNKNOWN, data)
    if not _fits_a_byte(data):
        low, high = torch.aminmax(data)
        raise ValueError(
            f'{owner}: {key} of {place_of(sample)} must hold whole numbers 0 to 255, but reaches from {low.item()} to '
            f'{high.item()}.'
        )
    return data.to(torch.uint8).reshape(data.shape[-2:])


def _fits_a_byte(data: Tensor) -> bool:
    """Whether all values are whole numbers 0 ... 255."""
    if data.dtype in (torch.uint8, torch.bool) or data.numel() == 0:
        return True
    if data.dtype == torch.int64 and data.device.type == 'cpu' and data.is_contiguous():
        return int(data.numpy().view(np.uint64).max()) <= UNKNOWN  # negative ones are large: one look instead of two
    low, high = torch.aminmax(data)
    whole = not data.is_floating_point() or bool((data == data.round()).all())
    return whole and float(low) >= 0 and float(high) <= UNKNOWN


def label_change(first: Tensor, second: Tensor, label_mode: str) -> Tensor:
    """The change map of two land-cover labels, uint8 0, 1 and 255.

    ``'full'``: land cover is labelled everywhere; changed where it differs, unknown where either is. ``'change_only'``:
    it is labelled inside changes only; changed where either date has a label.
    """
    if label_mode == 'change_only':
        return ((first != UNKNOWN) | (second != UNKNOWN)).to(torch.uint8)
    change = (first != second).to(torch.uint8)
    return change.masked_fill_((first == UNKNOWN) | (second == UNKNOWN), UNKNOWN)


def change_probability(sample: Mapping[str, Any], owner: str) -> Tensor:
    """Probability of change (H, W) from ``seg_logits``: 1 - softmax of channel 0; of one channel its value.

    With one channel the host stores the sigmoid, not the logit.

    Raises:
        ValueError: a single channel outside [0, 1].
    """
    logits = field_of(sample, 'seg_logits', owner).float()
    if logits.shape[0] == 1:
        if logits.numel() and not (float(logits.min()) >= 0 and float(logits.max()) <= 1):
            raise ValueError(
                f'{owner}: seg_logits of {place_of(sample)} have one channel and must be probabilities, as the host '
                f'stores them, but reach from {float(logits.min()):.3g} to {float(logits.max()):.3g}.'
            )
        return logits[0]
    others = logits[1] if logits.shape[0] == 2 else logits[1:].logsumexp(dim=0)
    return (others - logits[0]).sigmoid()


def note_ignored(pixels: int, ignore_index: int) -> str:
    """What to say of labels without any change; '' where no pixel of them is ignored."""
    if not pixels:
        return ''
    return (f'No label pixel is 1 = changed, but {pixels:,} are {ignore_index} = ignored: were 0/255 label files '
            f"loaded without turning 255 into 1 (format_seg_map='to_binary')?")
