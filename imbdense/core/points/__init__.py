"""Point clouds as arrays: grid sampling, voxel keys, space-filling order, neighbours, and the way back to points."""

from imbdense.core.points.devoxelize import devoxelize, devoxelize_linear
from imbdense.core.points.grid_sample import GridSample, grid_sample
from imbdense.core.points.morton import morton_order
from imbdense.core.points.neighbours import PointTree, RadiusNeighbours, nearest_neighbours, radius_neighbours
from imbdense.core.points.voxel_keys import VoxelKeys, voxel_keys
from imbdense.core.points.voxel_labels import majority_labels, rare_weights, rarest_labels

__all__ = ['GridSample', 'PointTree', 'RadiusNeighbours', 'VoxelKeys', 'devoxelize', 'devoxelize_linear', 'grid_sample',
           'majority_labels', 'morton_order', 'nearest_neighbours', 'radius_neighbours', 'rare_weights',
           'rarest_labels', 'voxel_keys']
