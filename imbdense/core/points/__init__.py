"""Point clouds as arrays: grids, voxel keys, neighbours, geometry; super-voxels; projection into images."""

from imbdense.core.points.feature_volume import FeatureVolume
from imbdense.core.points.grid_sample import GridSample, grid_sample, majority_labels, rarest_labels
from imbdense.core.points.local_geometry import GEOMETRY, local_geometry
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

__all__ = [
    'GEOMETRY',
    'FeatureVolume',
    'GridSample',
    'Importance',
    'Sightings',
    'SupervoxelQuality',
    'VoxelKeys',
    'felzenszwalb_supervoxels',
    'geodesic_supervoxels',
    'grid_sample',
    'grid_supervoxels',
    'local_geometry',
    'majority_labels',
    'pool_directions',
    'pool_rows',
    'project',
    'rarest_labels',
    'relabel',
    'sightings',
    'superpixels',
    'supervoxel_quality',
    'voxel_keys',
]
