"""Sparse convolutions and networks on point clouds, on torch alone."""

from imbdense.nn.sparse.conv import DownConv3d, SubMConv3d, UpConv3d, set_backend
from imbdense.nn.sparse.fpn18 import SparseFPN18
from imbdense.nn.sparse.layers import GlobalPool, PointBatchNorm, PointLinear, PointReLU
from imbdense.nn.sparse.pointnet_tiny import SparsePointNetTiny
from imbdense.nn.sparse.sparse_points import SparsePoints
from imbdense.nn.sparse.unet import SparseUNet

__all__ = ['DownConv3d', 'GlobalPool', 'PointBatchNorm', 'PointLinear', 'PointReLU', 'SparseFPN18',
           'SparsePointNetTiny', 'SparsePoints', 'SparseUNet', 'SubMConv3d', 'UpConv3d', 'set_backend']
