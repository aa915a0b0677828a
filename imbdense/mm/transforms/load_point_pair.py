"""Transform: read both epochs of a pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.change3d import CloudError, check_overlap
from imbdense.core.checks import check_integer, check_number
from imbdense.core.points import grid_sample
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.pairs import check_same_crs
from imbdense.mm.transforms.kept_scenes import KeptScenes
from imbdense.mm.transforms.pair_fields import PairTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPointPair(PairTransform):
    """Read the two clouds of a record of :class:`imbdense.PointPairDataset` and reduce them to cells.

    Adds ``points``, ``points_t1`` (barycentres of the cells, relative to the common ``origin``), ``attributes`` and
    ``attributes_t1`` (``count``: points of the cell), ``gt_semantic`` and, where the files have them,
    ``gt_semantic_t1`` and ``gt_instance`` (most frequent of the cell), and ``voxel``. With ``full`` also of the raw
    points of epoch 2: ``full_points``, ``full_semantic``, ``full_instance``, and ``full_cell`` (R,), the cell of each.

    ``imbdense.PointPairDataset`` puts it in front of its pipeline.

    Args:
        voxel: edge of a cell in metres.
        full: keep the raw points of epoch 2.
        keep: number of pairs kept in memory (the latest used); 0 = none.

    Raises:
        PointReadError: a cloud cannot be read, both name different coordinate systems, or they do not overlap.
    """

    whole_scene = True
    conformance_arguments = {'voxel': 1.0}

    def __init__(self, voxel: float, full: bool = False, keep: int = 0) -> None:
        self.voxel = check_number('voxel', voxel, low=0.0, low_open=True, owner='LoadPointPair')
        self.full = bool(full)
        self.keep = check_integer('keep', keep, low=0, owner='LoadPointPair')
        self._kept = KeptScenes(self.keep)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add both clouds to the record."""
        loaded = self._kept.get(str(results['points_path']), lambda: self._read(results))
        return {**results, **loaded}

    def _read(self, results: dict[str, Any]) -> dict[str, Any]:
        """The entries that reading adds."""
        source, path = results['point_source'], results['points_path']
        names = (str(results['points_path_t1']), str(path))
        second, first = source.read(path), source.read_first(names[0])
        check_same_crs(first, second, names)
        try:
            check_overlap(first.xyz, second.xyz, names)
        except CloudError as error:
            raise PointReadError(path, 'coordinates', f'is no partner of its epoch 1: {error}', '') from error
        origin = np.floor(np.minimum(first.xyz.min(axis=0), second.xyz.min(axis=0)))
        found: dict[str, Any] = {'origin': origin, 'voxel': self.voxel}
        cells = self._reduced(second, origin, found, '')
        self._reduced(first, origin, found, '_t1')
        if self.full:
            found['full_cell'] = cells
            found['full_points'] = second.local(origin)
            found.update({f'full_{name}': labels for name, labels in (
                ('semantic', second.semantic), ('instance', second.instance)) if labels is not None})
        return found

    def _reduced(
        self, cloud: PointCloud, origin: NDArray[np.float64], found: dict[str, Any], end: str
    ) -> NDArray[np.int64]:
        """Put the cells of one epoch into ``found``; return the cell of every raw point."""
        labels = None if cloud.semantic is None else torch.from_numpy(cloud.semantic)
        points = torch.from_numpy(cloud.xyz - origin)
        cells = grid_sample(points, self.voxel, labels=labels)
        found[f'points{end}'] = cells.points.float().numpy()
        found[f'attributes{end}'] = {'count': cells.counts.float().unsqueeze(1).numpy()}
        if cells.labels is not None:
            found[f'gt_semantic{end}'] = cells.labels.numpy()
        if cloud.instance is not None and not end:
            instance = grid_sample(points, self.voxel, labels=torch.from_numpy(np.maximum(cloud.instance, -1))).labels
            found['gt_instance'] = None if instance is None else instance.numpy()
        return cells.inverse.numpy()

    def __repr__(self) -> str:
        return f'LoadPointPair(voxel={self.voxel:g}, full={self.full}, keep={self.keep})'
