"""Structural similarity of images, and 1 minus its mean as a loss for reconstructions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.reduction import full_precision, zero_with_graph

WINDOW = 11
"""Side of the Gaussian window in pixels."""
SIGMA = 1.5
"""Standard deviation of the Gaussian window in pixels."""


def structural_similarity(pred: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """SSIM at every place where the whole window fits, (N, C, H - 10, W - 10).

    ``SSIM = (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2))`` with the means m, variances
    s^2 and the covariance s_xy under an 11 x 11 Gaussian window (sigma 1.5, sum 1) of each channel by itself,
    ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``.

    Args:
        pred, target: (N, C, H, W) float, H and W at least 11.
        data_range: L > 0, the largest minus the smallest value an image can have; one for all bands, so bring them to
            one range first.

    Returns:
        values in [-1, 1], 1 where the images are equal; float32, also under autocast (variances are differences of
        nearly equal numbers, which half precision loses), float64 for float64.

    Raises:
        ValueError: shapes that differ or are smaller than the window, or ``data_range`` <= 0.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004.
    """
    check_number('data_range', data_range, low=0.0, low_open=True, owner='structural_similarity')
    _check_shapes(pred, target)
    with torch.autocast(pred.device.type, enabled=False):
        x, y = full_precision(pred), full_precision(target)
        x, y = x.to(torch.promote_types(x.dtype, y.dtype)), y.to(torch.promote_types(x.dtype, y.dtype))
        planes = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 2).unsqueeze(1)
        shape = (5, *x.shape[:2], x.shape[2] - WINDOW + 1, x.shape[3] - WINDOW + 1)
        mean_x, mean_y, square_x, square_y, product = _windowed(planes).view(shape)
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        means, squares = mean_x * mean_y, mean_x**2 + mean_y**2
        structure = (2 * (product - means) + c2) / (square_x + square_y - squares + c2)
        return structure * (2 * means + c1) / (squares + c1)


def ssim_loss(pred: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """1 - mean SSIM over places, channels and images: 0 for equal images, at most 2.

    Arguments and errors as in :func:`structural_similarity`. An empty batch gives 0 with a graph. No state; each rank
    averages its own images.
    """
    if pred.shape[0] == 0:
        return zero_with_graph(pred)
    return 1 - structural_similarity(pred, target, data_range=data_range).mean()


def _windowed(planes: Tensor) -> Tensor:
    """Gaussian means of (P, 1, H, W), first along one axis, then along the other."""
    place = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    kernel = torch.exp(-(place**2) / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    return F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


def _check_shapes(pred: Tensor, target: Tensor) -> None:
    """Equal (N, C, H, W), large enough for the window."""
    if pred.ndim != 4 or pred.shape != target.shape:
        raise ValueError(
            f'structural_similarity: pred and target must have one shape (N, C, H, W), but have {tuple(pred.shape)} '
            f'and {tuple(target.shape)}.'
        )
    if min(pred.shape[2:]) < WINDOW:
        raise ValueError(
            f'structural_similarity: the {WINDOW} x {WINDOW} window does not fit into images of '
            f'{pred.shape[2]} x {pred.shape[3]} pixels. Take larger crops.'
        )
