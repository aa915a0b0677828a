"""From voxels back to points: by the voxel a point lies in, or between the voxels around it."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.points.grid_sample import GridSample
from imbdense.core.points.voxel_keys import is_increasing, voxel_keys


def devoxelize(values: Tensor, sample: GridSample) -> Tensor:
    """Every point of the cloud takes the value of its voxel: (V, ...) -> (N, ...). Differentiable."""
    _check_rows(values, sample)
    return values.index_select(0, sample.inverse)


def devoxelize_linear(values: Tensor, sample: GridSample, points: Tensor, size: float) -> Tensor:
    """Trilinear values between the centres of the eight voxels around a point, empty ones left out.

    ``out(p) = Σ_c w_c(p) v_c / Σ_c w_c(p)`` over the occupied of the eight corners c, ``w_c = Π_axis (1 - |p/size -
    centre_c|)``. A point's own voxel is one of the eight with w >= 1/8, so the sum is never empty. Computed in the
    dtype of ``values``, differentiable in them; memory (N, C) per corner.

    Args:
        values: (V, C) float. sample: what ``grid_sample(points, size)`` gave. points: (N, 3) of that call.
        size: of that call.

    Returns:
        (N, C). Integer values raise: labels cannot be interpolated.
    """
    check_number('size', size, low=0.0, low_open=True, owner='devoxelize_linear')
    _check_rows(values, sample)
    if not values.is_floating_point():
        raise TypeError(f'devoxelize_linear: values must be float, but are {values.dtype}; labels go by devoxelize.')
    if len(points) != len(sample.inverse):
        raise ValueError(f'devoxelize_linear: points must be the {len(sample.inverse)} of the sample, '
                         f'but there are {len(points)}.')
    if len(points) == 0:
        return values.new_zeros(0, values.shape[1])
    numbered = voxel_keys(sample.coords, margin=1, owner='devoxelize_linear')
    if not is_increasing(numbered.keys):
        raise ValueError('devoxelize_linear: the voxels of the sample must be in the order grid_sample gives.')
    place = points.double() / size
    own = torch.floor(place)
    fraction = place - own - 0.5  # from the centre of the own voxel
    side = torch.where(fraction < 0, -1, 1)
    own_key, far = numbered.keys[sample.inverse], fraction.abs()
    out = values.new_zeros(len(points), values.shape[1])
    total = values.new_zeros(len(points), 1)
    for corner in product((0, 1), repeat=3):
        chosen = torch.tensor(corner, device=points.device)
        steps = torch.tensor(numbered.steps, device=points.device)
        wanted = own_key + (side * chosen * steps).sum(1)
        row = torch.searchsorted(numbered.keys, wanted).clamp_max_(len(values) - 1)
        weight = torch.where(chosen.bool(), far, 1 - far).prod(1)
        weight = (weight * (numbered.keys[row] == wanted)).to(values.dtype).unsqueeze(1)
        out = out + weight * values.index_select(0, row)
        total = total + weight
    return out / total


def _check_rows(values: Tensor, sample: GridSample) -> None:
    """One value per voxel."""
    if len(values) != len(sample):
        raise ValueError(f'devoxelize: values must have one row per voxel ({len(sample)}), but have {len(values)}.')
