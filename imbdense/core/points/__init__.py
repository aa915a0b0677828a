"""Point clouds as arrays: grid sampling, voxel keys, space-filling order, neighbours, and the way back to points."""

from imbdense.core.points.grid_sample import GridSample, grid_sample, majority_labels, rarest_labels
from imbdense.core.points.voxel_keys import VoxelKeys, voxel_keys

__all__ = ['GridSample', 'VoxelKeys', 'grid_sample', 'majority_labels', 'rarest_labels', 'voxel_keys']
