"""Rasters of any size: reference grids, windows in one global lattice, georeferenced output."""
