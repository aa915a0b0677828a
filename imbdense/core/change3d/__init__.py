"""Change between two point clouds of one place: distances with a level of detection, classes, crops, votes."""

from imbdense.core.change3d.checks import CloudError, check_overlap, check_xyz
from imbdense.core.change3d.cloud_to_cloud import cloud_to_cloud
from imbdense.core.change3d.components import density_components
from imbdense.core.change3d.crop_centres import CropCentres, CylinderDraw, cylinder_grid
from imbdense.core.change3d.dsm_difference import DsmDifference, dsm_difference, surface_raster
from imbdense.core.change3d.m3c2 import ENGINES, m3c2
from imbdense.core.change3d.m3c2_classes import M3C2ClassRules, classify_changes
from imbdense.core.change3d.m3c2_result import M3C2Result
from imbdense.core.change3d.normals import multiscale_normals
from imbdense.core.change3d.pyramid import CrossLinks, PyramidLevel, cross_links, epoch_pyramid, neighbours_within
from imbdense.core.change3d.stability import height_above_lowest, stability
from imbdense.core.change3d.votes import SceneVotes

__all__ = [
    'ENGINES',
    'CloudError',
    'CropCentres',
    'CrossLinks',
    'CylinderDraw',
    'DsmDifference',
    'M3C2ClassRules',
    'M3C2Result',
    'PyramidLevel',
    'SceneVotes',
    'check_overlap',
    'check_xyz',
    'classify_changes',
    'cloud_to_cloud',
    'cross_links',
    'cylinder_grid',
    'density_components',
    'dsm_difference',
    'epoch_pyramid',
    'height_above_lowest',
    'm3c2',
    'multiscale_normals',
    'neighbours_within',
    'stability',
    'surface_raster',
]
