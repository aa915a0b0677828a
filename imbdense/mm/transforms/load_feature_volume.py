"""Transform: features of images that saw the points."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from imbdense.core.points import pool_rows
from imbdense.data.points.feature_files import points_digest, read_volume
from imbdense.mm.transforms.point_fields import PointTransform
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadFeatureVolume(PointTransform):
    """Add the attribute ``view_features`` float32 (N, C): the mean feature of the views of each point, zeros = unseen.

    Place it right behind ``imbdense.LoadPoints``: a volume is bound to the points of the file. `imbdense pointdc`
    makes the volumes (:class:`imbdense.mm.feature_volume.MultiViewFeatureVolume`).

    Args:
        folder: with ``<scene>.<tag>.npz``.
        tag: which of several volumes of a scene; ``None`` = the only one.
        pool: 'supervoxel' = every point takes the mean over the seen points of its super-voxel (as published for
            S3DIS), which also fills unseen points of seen super-voxels; needs ``imbdense.SuperVoxel`` **before** it.

    Raises:
        PointReadError: no volume of this scene, one of other points, or NaN in it.
    """

    card = 'pointdc'
    whole_scene = True
    conformance_arguments = {'folder': 'feature_volumes'}

    def __init__(self, folder: str, tag: str | None = None, pool: str = 'none') -> None:
        if pool not in ('none', 'supervoxel'):
            raise ValueError(f"LoadFeatureVolume: pool must be 'none' or 'supervoxel', but is {pool!r}.")
        self.folder, self.tag, self.pool = folder, tag, pool

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the features of one scene."""
        self.require(results, 'points', 'scene')
        features, _ = read_volume(self.folder, results['scene'], points_digest(results['points']), self.tag)
        if self.pool == 'supervoxel':
            self.require(results, 'supervoxel')
            parts = results['supervoxel']
            seen = np.where(features.any(axis=1), parts, -1)
            mean, _ = pool_rows(torch.from_numpy(features), torch.from_numpy(seen), int(parts.max(initial=-1)) + 1)
            features = np.where(parts[:, None] >= 0, mean.numpy()[parts], 0) if len(mean) else 0 * features
        return {**results, 'attributes': {**results.get('attributes', {}), 'view_features': features}}

    def __repr__(self) -> str:
        return f"LoadFeatureVolume(folder='{self.folder}', pool='{self.pool}')"
