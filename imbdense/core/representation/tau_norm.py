"""tau-normalised classifier: even out the lengths of trained classifier vectors, which follow the class counts."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number


def tau_normalize(
    weight: Tensor, bias: Tensor | None = None, *, tau: float = 1.0, keep_bias: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Return ``w_c / ||w_c||_2^tau`` for every class c, and the bias (or zeros).

    tau = 0 leaves the classifier, tau = 1 gives all vectors length 1, larger values give the short vectors (usually of
    rare classes) the larger say. The method drops the bias, which also follows the counts; ``keep_bias`` keeps it as it
    is. Source: Kang et al., Decoupling representation and classifier for long-tailed recognition (ICLR 2020).

    Args:
        weight: (K, d) or (K, d, kh, kw): of a linear layer or convolution. The length of a vector is that of all its
            entries. A vector of length 0 stays 0.
        bias: (K,) or ``None``.
        tau: in [0, 4]; 0.5 to 1 is usual. Chosen on validation data by the mean class accuracy.
        keep_bias: keep ``bias`` instead of setting it to 0.

    Returns:
        New tensors of the shapes and types of the inputs; the bias is ``None`` when none was given. The lengths are
        computed in float64 for any input type.

    Raises:
        ValueError: tau outside, ``weight`` without a dimension per class, or ``bias`` of another length.
    """
    power = check_number('tau', tau, low=0.0, high=4.0, owner='tau_normalize')
    if weight.ndim < 2:
        raise ValueError(f'tau_normalize: weight must be (K, d) or (K, d, kh, kw), but is {tuple(weight.shape)}.')
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(
            f'tau_normalize: bias must have one entry per class ({weight.shape[0]},), but is {tuple(bias.shape)}.'
        )
    exact = weight.detach().to(torch.float64)
    lengths = exact.flatten(1).norm(dim=1)
    divisor = torch.where(lengths > 0, lengths**power, 1.0)
    scaled = (exact / divisor.reshape(-1, *[1] * (weight.ndim - 1))).to(weight.dtype)
    if bias is None:
        return scaled, None
    return scaled, bias.detach().clone() if keep_bias else torch.zeros_like(bias)
