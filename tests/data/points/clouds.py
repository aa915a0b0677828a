"""Small generated clouds for the tests of readers and writers."""

from __future__ import annotations

import numpy as np

from imbdense.data.points import PointCloud

WKT = 'PROJCS["Lambert-93",GEOGCS["RGF93"],AUTHORITY["EPSG","2154"]]'


def random_cloud(count: int = 200, seed: int = 0, *, crs: str | None = None, whole_mm: bool = True) -> PointCloud:
    """Points in Lambert-93 with every kind of field; coordinates in whole millimetres, which LAS can hold."""
    rng = np.random.default_rng(seed)
    xyz = rng.random((count, 3)) * [100, 100, 30] + [770_000, 6_277_000, 50]
    attributes = {
        'rgb': rng.integers(0, 256, (count, 3)).astype(np.uint8),
        'nir': rng.integers(0, 256, count).astype(np.uint8),
        'intensity': rng.integers(0, 65536, count).astype(np.float32),
        'return_number': rng.integers(1, 4, count).astype(np.uint8),
        'number_of_returns': np.full(count, 3, np.uint8),
        'planarity': rng.random(count).astype(np.float32),
    }
    return PointCloud(
        np.round(xyz, 3) if whole_mm else xyz, attributes, rng.integers(0, 20, count), rng.integers(-1, 9, count), crs
    )


def assert_same(one: PointCloud, other: PointCloud, tolerance: float = 0.0) -> None:
    """Equal fields, in order of the points; coordinates to a tolerance in metres."""
    assert len(one) == len(other) and np.abs(one.xyz - other.xyz).max() <= tolerance
    assert one.attributes.keys() == other.attributes.keys()
    for name, values in one.attributes.items():
        np.testing.assert_array_equal(values, other.attributes[name], err_msg=name)
    for what in ('semantic', 'instance'):
        np.testing.assert_array_equal(getattr(one, what), getattr(other, what), err_msg=what)
