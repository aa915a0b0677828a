"""Parametric meshes of everything that stands on the ground, at most about 200 triangles each."""

from imbdense.data.scene.assets.catalogue import Asset, build_asset

__all__ = ['Asset', 'build_asset']
