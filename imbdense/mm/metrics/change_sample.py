"""Reading the maps of a change-detection sample as bytes: 255 is "unknown" everywhere from here on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    if data.dtype not in (torch.uint8, torch.bool) and data.numel():
        wrong = (data < 0) | (data > UNKNOWN) | (data != data.round()) if data.is_floating_point() else None
        low, high = torch.aminmax(data)
        if (wrong is not None and bool(wrong.any())) or int(low) < 0 or int(high) > UNKNOWN:
            if not (int(low) == ignore_index < 0 and int(high) <= UNKNOWN):
                raise ValueError(
                    f'{owner}: {key} of {place_of(sample)} must hold whole numbers 0 to 255, but reaches from '
                    f'{low.item()} to {high.item()}.'
                )
    bytes_ = data.to(torch.uint8)
    if ignore_index != UNKNOWN:
        bytes_ = torch.where(data == ignore_index, UNKNOWN, bytes_).to(torch.uint8)
    return bytes_.reshape(data.shape[-2:])


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
