"""Point clouds as arrays: grid sampling, voxel keys, space-filling order, neighbours, local geometry."""

from imbdense.core.points.grid_sample import GridSample, grid_sample, majority_labels, rarest_labels
from imbdense.core.points.local_geometry import GEOMETRY, local_geometry
from imbdense.core.points.voxel_keys import VoxelKeys, voxel_keys

__all__ = [
    'GEOMETRY', 'GridSample', 'VoxelKeys', 'grid_sample', 'local_geometry', 'majority_labels', 'rarest_labels',
    'voxel_keys',
]  # fmt: skip
