"""Samples of multi-band rasters for the tests of transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.terrain import orientation
from imbdense.data.raster.bands import Band
from imbdense.data.raster.statistics import BandStatistics
from tests.core.terrain.surfaces import hills

BANDS = (Band('red', 'image', 'red'), Band('green', 'image', 'green'), Band('blue', 'image', 'blue'),
         Band('height', 'elevation'), Band('e', 'terrain', 'east'), Band('n', 'terrain', 'north'))
STATISTICS = BandStatistics(tuple(band.name for band in BANDS), (100.0, 90.0, 80.0, 50.0, 0.0, 0.0),
                            (20.0, 20.0, 20.0, 10.0, 1.0, 1.0), (60.0, 50.0, 40.0, 20.0, -1.0, -1.0),
                            (150.0, 140.0, 130.0, 90.0, 1.0, 1.0), 100, (1, 1))


def sample(dates: int = 1, height: int = 12, width: int = 17) -> dict[str, Any]:
    """Colours, height and orientation of hills, the same bands at every date; one invalid pixel at the first."""
    rng = np.random.default_rng(0)
    parts = []
    for date in range(dates):
        z = hills(height, width, seed=date).numpy()
        colours = rng.uniform(50, 150, (height, width, 3)).astype(np.float32)
        parts.append(np.dstack([colours, z, *orientation(z, (1.0, 1.0))]))
    valid = np.ones((height, width, dates), bool)
    valid[2, 3, 0] = False
    return {'img': np.concatenate(parts, axis=2), 'valid': valid, 'bands': BANDS, 'num_dates': dates,
            'band_statistics': STATISTICS, 'gt_seg_map': rng.integers(0, 2, (height, width)).astype(np.uint8),
            'gt_seg_map_t1': rng.integers(0, 4, (height, width)).astype(np.uint8),
            'seg_fields': ['gt_seg_map', 'gt_seg_map_t1'], 'img_shape': (height, width)}
