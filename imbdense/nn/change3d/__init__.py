"""Siamese networks on the levels of two point clouds."""

from imbdense.nn.change3d.siamese_points import FUSIONS, Links, SiamesePoints
from imbdense.nn.change3d.stages import stages_of

__all__ = ['FUSIONS', 'Links', 'SiamesePoints', 'stages_of']
