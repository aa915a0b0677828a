"""Transform: the super-voxel of every point."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.points import (
    Importance,
    felzenszwalb_supervoxels,
    geodesic_supervoxels,
    grid_supervoxels,
    relabel,
)
from imbdense.data.points.feature_files import points_digest
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS
from imbdense.utils.files import atomic_open

METHODS = ('geodesic', 'felzenszwalb', 'grid', 'given')


@TRANSFORMS.register_module()
class SuperVoxel(PointTransform):
    """Add ``supervoxel`` int64 (N,): the part of one surface and colour that each point lies in, -1 = none.

    The parts of a scene are the same each time, so place it behind ``imbdense.LoadPoints`` and before crops and
    augmentation: the labels that :class:`imbdense.SuperVoxelClusterHook` gives belong to numbers.

    Args:
        method: 'geodesic' (compact, about ``seed_size``), 'felzenszwalb' (any size), 'grid' (cubes), or 'given': the
            numbers in the attribute ``given`` of the cloud, for example ScanNet's own segments.
        voxel_size, seed_size: metres; of 'felzenszwalb' only the first, of 'grid' only the second counts.
        spatial, normal, colour: what separates, see :class:`imbdense.core.points.Importance`; the colour is ``rgb``,
            where the cloud has it.
        scale, min_size: of 'felzenszwalb'.
        drop_threshold: parts with fewer points become -1 (50 was used for S3DIS). It can drop a rare thing whole.
        given: name of the attribute.
        folder: where parts are kept as ``<scene>.<hash>.npz`` and found again; ``None`` = made every time.
    """

    card = 'pointdc'
    whole_scene = True

    def __init__(
        self,
        method: str = 'geodesic',
        voxel_size: float = 0.3,
        seed_size: float = 3.0,
        spatial: float = 0.4,
        normal: float = 1.0,
        colour: float = 0.2,
        scale: float = 0.05,
        min_size: int = 20,
        drop_threshold: int = 0,
        given: str = 'segment',
        folder: str | None = None,
    ) -> None:
        self.method = check_choice('method', method, METHODS, owner='SuperVoxel')
        self.voxel_size = check_number('voxel_size', voxel_size, low=0.0, low_open=True, owner='SuperVoxel')
        low = self.voxel_size if method == 'geodesic' else 0.0
        self.seed_size = check_number('seed_size', seed_size, low=low, low_open=low == 0, owner='SuperVoxel')
        self.importance = Importance(spatial, normal, colour)
        self.scale, self.min_size, self.given = scale, min_size, given
        self.drop_threshold = check_integer('drop_threshold', drop_threshold, low=0, owner='SuperVoxel')
        self.folder = None if folder is None else Path(folder)
        self._settings = [method, voxel_size, seed_size, spatial, normal, colour, scale, min_size, drop_threshold]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the parts of one scene."""
        self.require(results, 'points')
        path = self._file(results)
        parts = None if path is None else _read(path)
        if parts is None:
            parts = relabel(self._parts(results), self.drop_threshold)
            if path is not None:
                with atomic_open(path) as handle:
                    np.savez_compressed(handle, supervoxel=parts.astype(np.int32))
        return {**results, 'supervoxel': parts}

    def _parts(self, results: dict[str, Any]) -> NDArray[np.int64]:
        """By the method."""
        xyz, colours = results['points'], results.get('attributes', {}).get('rgb')
        if self.method == 'geodesic':
            return geodesic_supervoxels(xyz, colours, voxel_size=self.voxel_size, seed_size=self.seed_size,
                                        importance=self.importance)  # fmt: skip
        if self.method == 'felzenszwalb':
            return felzenszwalb_supervoxels(xyz, colours, voxel_size=self.voxel_size, scale=self.scale,
                                            min_size=self.min_size, importance=self.importance)  # fmt: skip
        if self.method == 'grid':
            return grid_supervoxels(xyz, seed_size=self.seed_size)
        numbers = results.get('attributes', {}).get(self.given)
        if numbers is None:
            raise KeyError(f"SuperVoxel: {results.get('points_path', 'a cloud')} has no attribute '{self.given}' with "
                           f"given super-voxels; it has {', '.join(results.get('attributes', {})) or 'none'}.")
        return numbers.reshape(-1).astype(np.int64)

    def _file(self, results: dict[str, Any]) -> Path | None:
        """Where the parts of this scene are kept."""
        if self.folder is None or self.method == 'given':
            return None
        colours = results.get('attributes', {}).get('rgb')
        told = [*self._settings, points_digest(results['points']), None if colours is None else points_digest(colours)]
        tag = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
        return self.folder / f'{results.get("scene", "scene")}.{tag}.npz'

    def __repr__(self) -> str:
        return f"SuperVoxel(method='{self.method}', voxel_size={self.voxel_size:g}, seed_size={self.seed_size:g})"


def _read(path: Path) -> NDArray[np.int64] | None:
    """Kept parts; ``None`` where the file is missing or damaged, and they are made again."""
    try:
        with np.load(path) as archive:
            return archive['supervoxel'].astype(np.int64)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
