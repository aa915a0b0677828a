"""Kernel point convolutions on plain torch, with neighbours that come from the data loader."""

from imbdense.nn.point_conv.kernel_points import kernel_points
from imbdense.nn.point_conv.kp_conv_lite import KPConvLite
from imbdense.nn.point_conv.levels import EpochLevels, PointLevel, gather_rows
from imbdense.nn.point_conv.rigid_kp_conv import RigidKPConv

__all__ = ['EpochLevels', 'KPConvLite', 'PointLevel', 'RigidKPConv', 'gather_rows', 'kernel_points']
