"""Terrain derivatives of an elevation raster, exact in tiles, and how vectors turn with the raster."""

from imbdense.core.terrain.bands import derivative_bands, derive, halo_of
from imbdense.core.terrain.curvature import curvatures
from imbdense.core.terrain.gradient import aspect, gradient, hillshade, orientation, slope
from imbdense.core.terrain.ruggedness import position_index, roughness, ruggedness
from imbdense.core.terrain.turning import TURNS, turn_vector

__all__ = ['TURNS', 'aspect', 'curvatures', 'derivative_bands', 'derive', 'gradient', 'halo_of', 'hillshade',
           'orientation', 'position_index', 'roughness', 'ruggedness', 'slope', 'turn_vector']
