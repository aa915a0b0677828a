"""NorCal: divide the class scores of a detector by a power of the class size, the background apart, and normalise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imbdense.core.checks import check_counts, check_number
from imbdense.core.reduction import full_precision


def norcal_shift(counts: ArrayLike, gamma: float, *, center: bool = False) -> NDArray[np.float64]:
    """Return what NorCal adds to the class logits, (C,) float64.

    ::

        shift_c = -gamma * log(n_c)                                   the published form
        shift_c = -gamma * (log(n_c) - sum_k pi_k log(n_k))           center=True, pi = n / sum(n)

    The published form also lowers every class against the background by the size of the data set, so that
    ``score_thr`` must be lowered with it; centred, the decision between object and background stays where it is on
    average over the objects. The order of two classes at one place is the same in both.

    Args:
        counts: (C,) training images (or objects) per class; a class without any counts as one.
        gamma: strength in [0, 1] (larger values are accepted); 0 changes nothing.

    Source: Pan et al., On model calibration for long-tailed object detection and instance segmentation, NeurIPS 2021.
    """
    check_number('gamma', gamma, low=0.0, owner='norcal')
    values = check_counts(np.asarray(counts, dtype=np.float64).tolist(), owner='norcal').numpy()
    values = np.where(values == 0, 1.0, values)
    logs = np.log(values)
    if center:
        logs = logs - (values / values.sum() * logs).sum()
    return -gamma * logs


def norcal(
    logits: Tensor, counts: ArrayLike, gamma: float, *, center: bool = False, use_sigmoid: bool = False
) -> Tensor:
    """Return calibrated scores.

    ::

        softmax   p_c = e^{z_c} n_c^-gamma / (sum_k e^{z_k} n_k^-gamma + e^{z_C}),  p_C with e^{z_C}
        sigmoid   p_c = e^{z_c} n_c^-gamma / (e^{z_c} n_c^-gamma + 1)

    Args:
        logits: (..., C + 1) with the background last, or (..., C) with ``use_sigmoid``; any float dtype.
        counts, gamma, center: see :func:`norcal_shift`.

    Returns:
        scores of the shape of ``logits``, float32 (float64 for float64); softmax rows sum to 1. An empty batch gives
        an empty result.

    Raises:
        ValueError: the number of channels is not C + 1 (softmax) or C (sigmoid).
    """
    shift = torch.from_numpy(norcal_shift(counts, gamma, center=center))
    values = full_precision(logits)
    expected = shift.numel() + (0 if use_sigmoid else 1)
    if values.shape[-1] != expected:
        raise ValueError(
            f'norcal: {shift.numel()} counts need logits of {expected} channels '
            f'({"one sigmoid per class" if use_sigmoid else "the classes, then the background"}), but they have '
            f'{values.shape[-1]}.'
        )
    shift = shift.to(values)
    if use_sigmoid:
        return (values + shift).sigmoid()
    return (values + torch.cat([shift, shift.new_zeros(1)])).softmax(dim=-1)
