"""What the neighbourhood of a point looks like: a line, a plane or a bush; upright or flat. Eleven numbers per point.

Demantké et al., "Dimensionality based scale selection in 3D lidar point clouds", 2011 (linearity, planarity,
scattering); Guinard and Landrieu, "Weakly supervised segmentation-aided classification of urban scenes from 3D LiDAR
point clouds", 2017 (verticality). Definitions as in the pgeof library (Robert et al., "Efficient 3D semantic
segmentation with superpoint transformer", ICCV 2023).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer

Floats = NDArray[np.float64]

GEOMETRY = (
    'linearity', 'planarity', 'scattering', 'verticality', 'normal_x', 'normal_y', 'normal_z', 'length', 'surface',
    'volume', 'curvature',
)  # fmt: skip
"""The columns of :func:`local_geometry`."""

EPSILON = 1e-3
TIE = 1e-9
"""Two eigenvalues nearer than this part of the largest are equal: the directions between them are arbitrary."""
CHUNK = 1 << 17
"""Points worked on at a time."""


def local_geometry(xyz: ArrayLike, neighbours: ArrayLike, *, k_min: int = 4) -> NDArray[np.float32]:
    """Describe the neighbourhood of every point by the spread of its points.

    With the covariance of the neighbourhood (divided by its number of points), eigenvalues e1 ≥ e2 ≥ e3 ≥ 0, their
    directions v1, v2, v3, λ = √e and ε = 10⁻³:

        linearity (λ1 − λ2)/(λ1 + ε) · planarity (λ2 − λ3)/(λ1 + ε) · scattering λ3/(λ1 + ε)
        verticality: z-component of Σ eᵢ·|vᵢ|, divided by the norm of the sum
        normal: v3 with z ≥ 0 · length λ1 · surface √(λ1 λ2 + 10⁻⁶) · volume ∛(λ1 λ2 λ3 + 10⁻⁹)
        curvature λ3/(λ1 + λ2 + λ3 + ε)

    Linearity to verticality and curvature lie in [0, 1]; length, surface and volume are in metres (ε too, so a cloud in
    another unit has other values). Where v3 is not determined (points on a line, or spread alike in all directions) the
    normal is the possible direction nearest to +z; so the values do not depend on the library that decomposes.

    Args:
        xyz: (N, 3) metres, any origin; computed in float64 relative to each neighbourhood's own mean.
        neighbours: (N, k) indices of the points around each point, itself included; negative = no neighbour.
        k_min: points with fewer neighbours get eleven zeros. Three points always lie in a plane.

    Returns:
        float32 (N, 11), columns :data:`GEOMETRY`.

    Raises:
        ValueError: wrong shapes, an index beyond the points, or coordinates that are not finite.
    """
    points, index = np.asarray(xyz, np.float64), np.asarray(neighbours)
    check_integer('k_min', k_min, low=1, owner='local_geometry')
    if points.ndim != 2 or points.shape[1] != 3 or index.ndim != 2 or len(index) != len(points):
        raise ValueError(
            f'local_geometry: expected xyz (N, 3) and neighbours (N, k), but got {points.shape} and {index.shape}.'
        )
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise ValueError(f'local_geometry: point {bad} is {points[bad].tolist()}; remove points without coordinates.')
    if index.size and int(index.max()) >= len(points):
        raise ValueError(f'local_geometry: a neighbour is point {int(index.max())}, but there are {len(points)}.')
    found = np.zeros((len(points), len(GEOMETRY)), np.float32)
    for start in range(0, len(points), CHUNK):
        place = slice(start, start + CHUNK)
        found[place] = _geometry(points, index[place], k_min)
    return found


def _geometry(points: Floats, index: NDArray[np.integer], k_min: int) -> Floats:
    """The columns of some points."""
    there = index >= 0
    counts = there.sum(axis=1)
    enough = counts >= k_min
    weight = there / np.maximum(counts, 1)[:, None]
    around = points[np.maximum(index, 0)]
    # about the first neighbour, then about the mean: coordinates of 10⁶ m lose no digit of a spread of 10⁻³ m
    around -= np.where(there[..., None], around, 0)[np.arange(len(index)), there.argmax(axis=1)][:, None]
    around -= (around * weight[..., None]).sum(axis=1, keepdims=True)
    covariance = np.einsum('nk,nki,nkj->nij', weight, around, around, optimize=True)
    values, vectors = np.linalg.eigh(covariance)
    e = np.maximum(values[:, ::-1], 0.0)  # e1 >= e2 >= e3
    e[e < TIE * e[:, :1]] = 0.0  # rounding of the decomposition
    upright = np.abs(vectors[:, :, ::-1]) @ e[:, :, None]
    length = np.linalg.norm(upright, axis=1)
    verticality = np.divide(upright[:, 2], length, out=np.zeros_like(length), where=length > 0)
    l1, l2, l3 = np.sqrt(e).T
    columns = (
        (l1 - l2) / (l1 + EPSILON), (l2 - l3) / (l1 + EPSILON), l3 / (l1 + EPSILON), verticality[:, 0],
        *_normals(e, vectors).T, l1, np.sqrt(l1 * l2 + 1e-6), np.cbrt(l1 * l2 * l3 + 1e-9),
        l3 / (l1 + l2 + l3 + EPSILON),
    )  # fmt: skip
    return np.where(enough[:, None], np.stack(columns, axis=1), 0.0)


def _normals(e: Floats, vectors: Floats) -> Floats:
    """v3 with z >= 0 (M, 3); where it is not determined, the direction nearest to +z that it could be."""
    normal = vectors[:, :, 0] * np.where(vectors[:, 2, :1] < 0, -1.0, 1.0)
    gap = TIE * e[:, 0]
    along = vectors[:, :, 2]  # v1: a line has all directions across it
    line = (e[:, 1] - e[:, 2] <= gap) & (e[:, 0] - e[:, 1] > gap)
    across = np.array([0.0, 0.0, 1.0]) - along[:, 2:] * along
    size = np.linalg.norm(across, axis=1)
    usable = line & (size > 1e-6)  # of an upright line all directions across it are level: any will do
    normal[usable] = across[usable] / size[usable, None]
    normal[e[:, 0] - e[:, 2] <= gap] = (0.0, 0.0, 1.0)
    return normal
