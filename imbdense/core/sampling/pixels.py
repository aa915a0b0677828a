"""Class-balanced pixels: leave out pixels of frequent classes, or weigh up those of rare ones.

Buda, Maki, Mazurowski: A systematic study of the class imbalance problem in convolutional neural networks. Neural
Networks 106, 2018 (undersampling and oversampling of samples; here the samples are pixels).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number

PixelMode = Literal['under', 'over']


def pixel_factors(counts: Tensor, mode: PixelMode, level: float = 1.0, max_weight: float = 20.0) -> Tensor:
    """Return (C,) float32 factors of how often a pixel of each class enters the loss.

    * ``'under'``: chance to be kept min(1, n* / n_c) with n* = n_max ** (1 - level) * n_min ** level;
    * ``'over'``: weight n* / n_c in [1, max_weight] with n* = n_min ** (1 - level) * n_max ** level.

    n_min and n_max are over the classes that occur; one that does not has factor 1. Level 0 changes nothing, level 1
    balances fully (``'over'`` up to ``max_weight``). Makes no device wait. Example: n = (1000, 10), level 0.5:
    n* = 100, under (.1, 1), over (1, 10).

    Args:
        counts: (C,) how often each class occurs (or its share), >= 0.
        mode, level, max_weight: see above; level in [0, 1], max_weight >= 1.
    """
    check_choice('mode', mode, get_args(PixelMode))
    level = check_number('level', level, low=0.0, high=1.0)
    max_weight = check_number('max_weight', max_weight, low=1.0)
    values = counts.to(torch.float64)
    occurs = values > 0
    logs = torch.where(occurs, values, 1.0).log()
    low = torch.where(occurs, logs, torch.inf).amin()
    high = torch.where(occurs, logs, -torch.inf).amax()
    goal = torch.lerp(high, low, level) if mode == 'under' else torch.lerp(low, high, level)
    factors = (goal - logs).exp()
    factors = factors.clamp_max(1.0) if mode == 'under' else factors.clamp(1.0, max_weight)
    return torch.where(occurs, factors, 1.0).float()


def pixel_weights(label: Tensor, factors: Tensor, mode: PixelMode, ignore_index: int = 255) -> Tensor:
    """Return the weight of every pixel in the loss, float32 like ``label``; ignored pixels weigh 0.

    ``'over'`` gives the factor of the pixel's class. ``'under'`` keeps a pixel with that chance (torch's global
    generator) and gives the others 0; the likeliest pixel of each image is kept in any case, so no image is empty. In
    expectation both are a re-weighting by class; leaving out adds variance and saves nothing of the forward pass.

    The weights are scaled to mean 1 over the valid pixels, so that the loss keeps its size: hosts divide by all pixels.
    Nothing valid: all zero. Makes no device wait.

    Args:
        label: (N, *spatial) class indices; values outside [0, C) are ignored too.
        factors: (C,) from :func:`pixel_factors`.
        mode: 'under' or 'over'.
        ignore_index: label value that counts nothing.
    """
    valid = (label != ignore_index) & (label >= 0) & (label < factors.numel())
    factor = factors.to(label.device)[torch.where(valid, label, 0).long()]
    if check_choice('mode', mode, get_args(PixelMode)) == 'over':
        weights = factor * valid
    else:
        chance = torch.rand(label.shape, device=label.device) / factor
        chance = torch.where(valid, chance, torch.inf)
        likeliest = chance.flatten(1).amin(1).view(-1, *(1,) * (label.ndim - 1)) if label.numel() else chance
        weights = ((chance < 1) | ((chance == likeliest) & valid)).float()
    return weights * (valid.sum() / weights.sum().clamp_min(1e-12))
