"""Point clouds on disk and in memory: LAS/LAZ, PLY, text, npz; label maps; layouts of data sets."""

from imbdense.data.points.cloud import PointCloud, concatenate_clouds
from imbdense.data.points.errors import PointReadError, PointWriteError
from imbdense.data.points.read import iter_points, read_points
from imbdense.data.points.write import PointWriter, write_points

__all__ = [
    'PointCloud', 'PointReadError', 'PointWriteError', 'PointWriter', 'concatenate_clouds', 'iter_points',
    'read_points', 'write_points',
]
