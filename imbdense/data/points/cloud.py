"""A point cloud in memory: coordinates, what was measured at each point, and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PointCloud:
    """N points. The arrays are checked once, here, and are not copied; treat them as read-only.

    Attributes:
        xyz: (N, 3) float64 metres, as in the file.
        attributes: name -> (N,) or (N, k): ``rgb`` uint8 (N, 3) and ``nir`` uint8, always 8 bit; ``intensity`` float32
            as in the file; ``return_number``, ``number_of_returns``, ...; extra dimensions under their names.
        semantic: (N,) int64, the raw codes of the file or train ids after a label map; -1 = ignored; ``None`` = no
            labels.
        instance: (N,) int64, -1 = no instance; ``None`` = no instances.
        crs: coordinate system as WKT or ``EPSG:...``, where the file tells it.

    N may be 0 (a selection can be empty); readers refuse files without points.

    Raises:
        ValueError: a wrong shape or dtype, or coordinates that are not finite (how many, and the first of them).
    """

    xyz: NDArray[np.float64]
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    semantic: NDArray[np.int64] | None = None
    instance: NDArray[np.int64] | None = None
    crs: str | None = None

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3 or self.xyz.dtype != np.float64:
            raise ValueError(f'xyz must be float64 (N, 3), but is {self.xyz.dtype} {self.xyz.shape}.')
        check_finite(self.xyz)
        for name, values in self.attributes.items():
            if values.ndim not in (1, 2) or len(values) != len(self):
                raise ValueError(
                    f'attribute {name!r} must be ({len(self)},) or ({len(self)}, k), but is {values.shape}.'
                )
        rgb = self.attributes.get('rgb')
        if rgb is not None and (rgb.dtype != np.uint8 or rgb.shape != (len(self), 3)):
            raise ValueError(f"attribute 'rgb' must be uint8 ({len(self)}, 3), but is {rgb.dtype} {rgb.shape}.")
        for name, labels in (('semantic', self.semantic), ('instance', self.instance)):
            if labels is not None and (labels.dtype != np.int64 or labels.shape != (len(self),)):
                raise ValueError(f'{name} must be int64 ({len(self)},), but is {labels.dtype} {labels.shape}.')

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def origin(self) -> NDArray[np.float64]:
        """The smallest coordinate of each axis rounded down to whole metres, (3,) float64; zeros without points.

        Coordinates of national grids (6,833,000 m) have half a metre of resolution in float32; relative to this
        origin a tile of 1 km keeps 0.1 mm.
        """
        return np.floor(self.xyz.min(axis=0)) if len(self) else np.zeros(3)

    def local(self, origin: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
        """Coordinates relative to ``origin`` (default: :attr:`origin`), (N, 3) float32; subtracted in float64."""
        return (self.xyz - (self.origin if origin is None else origin)).astype(np.float32)

    def take(self, index: NDArray[Any] | slice) -> PointCloud:
        """The points that ``index`` (numbers, repeated or not, a mask or a slice) selects, with all their entries."""
        return PointCloud(
            self.xyz[index],
            {name: values[index] for name, values in self.attributes.items()},
            None if self.semantic is None else self.semantic[index],
            None if self.instance is None else self.instance[index],
            self.crs,
        )

    def replace(self, **changes: Any) -> PointCloud:
        """A copy with some fields exchanged, for example ``cloud.replace(semantic=predicted)``."""
        return replace(self, **changes)


def concatenate_clouds(clouds: Sequence[PointCloud]) -> PointCloud:
    """One cloud of several, in their order. Instance ids are kept as they are, so equal ids become one instance.

    Raises:
        ValueError: no cloud; or one that has other attributes, labels or another coordinate system than the first.
    """
    if not clouds:
        raise ValueError('concatenate_clouds needs at least one cloud.')
    first = clouds[0]
    for number, cloud in enumerate(clouds[1:], 1):
        for what in ('attributes', 'semantic', 'instance', 'crs'):
            one, other = _has(first, what), _has(cloud, what)
            if one != other:
                raise ValueError(
                    f'cloud {number} has {what} {other}, but cloud 0 has {one}. Bring both to the same fields first.'
                )
    return PointCloud(
        np.concatenate([cloud.xyz for cloud in clouds]),
        {name: np.concatenate([cloud.attributes[name] for cloud in clouds]) for name in first.attributes},
        _join([cloud.semantic for cloud in clouds]),
        _join([cloud.instance for cloud in clouds]),
        first.crs,
    )


def check_finite(xyz: NDArray[np.float64]) -> None:
    """Raise ``ValueError`` unless every coordinate is finite; says how many points are bad and which is the first."""
    bad = np.flatnonzero(~np.isfinite(xyz).all(axis=1))
    if bad.size:
        raise ValueError(
            f'{bad.size} of {len(xyz)} points have NaN or infinite coordinates, the first is point {bad[0]} '
            f'{xyz[bad[0]].tolist()}. Remove them before reading.'
        )


def _has(cloud: PointCloud, what: str) -> Any:
    """What two clouds must share: names of attributes, whether there are labels, the coordinate system."""
    value = getattr(cloud, what)
    return sorted(value) if what == 'attributes' else value if what == 'crs' else value is not None


def _join(labels: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    """Labels of all clouds one after the other."""
    present = [values for values in labels if values is not None]
    return np.concatenate(present) if present else None
