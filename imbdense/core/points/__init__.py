"""Points in space, as arrays: grids, neighbours, super-voxels, projection into images."""
