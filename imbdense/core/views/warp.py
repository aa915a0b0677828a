"""Values of one view of an image in the pixels of another view, or of the image itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def view_to_view(source: Tensor, target: Tensor) -> Tensor:
    """The matrix from the pixels of one view to those of another: target @ source^-1.

    Args:
        source, target: (3, 3) or (N, 3, 3), from the pixels (x, y, 1) of the original image to those of each view. The
            identity as ``target`` leads back to the original.

    Returns:
        float64, same shape.
    """
    return target.double() @ torch.linalg.inv(source.double())


def warp_view(
    values: Tensor,
    matrix: Tensor,
    size: tuple[int, int],
    *,
    mode: str = 'bilinear',
    fill: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Resample ``values`` into another view.

    Pixel centres have whole coordinates: (x, y) = (column, row). Output pixel p takes the value at matrix^-1 p.

    Args:
        values: (N, C, H, W) float, such as class probabilities; or (N, H, W) integers, such as labels (then 'nearest').
        matrix: (3, 3) or (N, 3, 3) affine, from pixels of ``values`` to pixels of the output
            (:func:`view_to_view`).
        size: (height, width) of the output.
        mode: 'bilinear' or 'nearest', for float values.
        fill: value of output pixels that lie outside the input.

    Returns:
        (warped, inside): the values, (N, C, *size) or (N, *size) of the dtype given; and (N, *size) bool, whether the
        place lies on the input.

    Raises:
        ValueError: the matrix is not affine or has another batch size.
    """
    labels = values.ndim == 3
    planes = values[:, None] if labels else values
    number, _, height, width = planes.shape
    inverse = torch.linalg.inv(matrix.double()).to(planes.device)
    if inverse.shape[-2:] != (3, 3) or (inverse.ndim == 3 and inverse.shape[0] not in (1, number)):
        raise ValueError(
            f'warp_view: matrix must be (3, 3) or ({number}, 3, 3), but has {tuple(matrix.shape)}.'
        )
    rows, columns = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float64, device=planes.device),
        torch.arange(size[1], dtype=torch.float64, device=planes.device),
        indexing='ij',
    )
    places = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    source = torch.einsum('...ij,hwj->...hwi', inverse, places)[..., :2].expand(number, *size, 2)
    x, y = source[..., 0], source[..., 1]
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    # grid_sample without align_corners: -1 and 1 are the outer edges of the outermost pixels.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    exact = labels or not planes.is_floating_point()
    work = planes.double() if exact else planes
    warped = F.grid_sample(
        work, grid.to(work.dtype), mode='nearest' if exact else mode, padding_mode='border', align_corners=False
    ).to(values.dtype)
    warped = torch.where(inside[:, None], warped, torch.as_tensor(fill, dtype=values.dtype, device=warped.device))
    return (warped[:, 0] if labels else warped), inside
