"""Clouds wider than memory: a lattice of overlapping blocks, points sorted by cell on disk, votes of the blocks."""

from imbdense.data.points.tiles.buckets import PointBuckets, make_buckets
from imbdense.data.points.tiles.lattice import BlockLattice
from imbdense.data.points.tiles.votes import VoteStore

__all__ = ['BlockLattice', 'PointBuckets', 'VoteStore', 'make_buckets']
