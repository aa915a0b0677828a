"""Point clouds as arrays: grids, voxel keys, neighbours, geometry; super-voxels; projection into images."""

from imbdense.core.points.devoxelize import devoxelize, devoxelize_linear
from imbdense.core.points.feature_volume import FeatureVolume
from imbdense.core.points.grid_sample import GridSample, grid_sample
from imbdense.core.points.local_geometry import GEOMETRY, local_geometry
from imbdense.core.points.morton import morton_order
from imbdense.core.points.neighbours import PointTree, RadiusNeighbours, nearest_neighbours, radius_neighbours
from imbdense.core.points.pooling import pool_directions, pool_rows
from imbdense.core.points.projection import Sightings, project, sightings
from imbdense.core.points.superpixels import superpixels
from imbdense.core.points.supervoxels import (
    Importance,
    SupervoxelQuality,
    felzenszwalb_supervoxels,
    geodesic_supervoxels,
    grid_supervoxels,
    relabel,
    supervoxel_quality,
)
from imbdense.core.points.voxel_keys import VoxelKeys, voxel_keys
from imbdense.core.points.voxel_labels import majority_labels, rare_weights, rarest_labels

__all__ = [
    'GEOMETRY',
    'FeatureVolume',
    'GridSample',
    'Importance',
    'PointTree',
    'RadiusNeighbours',
    'Sightings',
    'SupervoxelQuality',
    'VoxelKeys',
    'devoxelize',
    'devoxelize_linear',
    'felzenszwalb_supervoxels',
    'geodesic_supervoxels',
    'grid_sample',
    'grid_supervoxels',
    'local_geometry',
    'majority_labels',
    'morton_order',
    'nearest_neighbours',
    'pool_directions',
    'pool_rows',
    'project',
    'radius_neighbours',
    'rare_weights',
    'rarest_labels',
    'relabel',
    'sightings',
    'superpixels',
    'supervoxel_quality',
    'voxel_keys',
]
