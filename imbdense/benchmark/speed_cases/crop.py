"""Crops around rare classes against mmseg's retry crop, and aligned against unaligned raster windows."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from typing import Any

import numpy as np

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload

RARE = 18


def _label(scale: float) -> np.ndarray:
    """Two large classes and one rare object; at scale 1 it has 1024² pixels."""
    side = int(1024 * scale**0.5)
    label = np.zeros((side, side), np.uint8)
    label[side // 2 :, side // 5 :] = 3
    label[5:9, side - 20 : side - 11] = RARE
    return label


def _crop(scale: float, indexed: bool) -> Workload:
    """512² crops of which every one must hold the rare class; mmseg retries up to ten times for the same end."""
    from mmseg.datasets.transforms import RandomCrop

    from imbdense.registry import TRANSFORMS

    label = _label(scale)
    window = label.shape[0] // 2
    record = {
        'img': np.repeat(label[..., None], 3, axis=2), 'gt_seg_map': label, 'seg_fields': ['gt_seg_map'],
        'ori_shape': label.shape,
    }
    mine = dict(record)
    if indexed:
        mine['class_pixels'] = {c: np.argwhere(label == c)[:: max(1, (label == c).sum() // 64)] for c in (0, 3, RARE)}
    counts = [1e6] * RARE + [36.0]
    ours = TRANSFORMS.build({
        'type': 'imbdense.RareClassCrop', 'crop_size': window, 'rate': 1.0, 'classes': [RARE], 'class_counts': counts,
    })
    peer = RandomCrop((window, window), cat_max_ratio=1e-4)  # cannot be met: all ten retries, as for a rare class

    def check(result: Any, _other: Any) -> str:
        for _ in range(50):
            if not (ours(dict(mine))['gt_seg_map'] == RARE).any():
                raise Unequal('a targeted crop missed the rare class')
        hits = np.mean([(peer(dict(record))['gt_seg_map'] == RARE).any() for _ in range(20)])
        return f'hit rate of the rare class 100 %, peer {100 * hits:.0f} %'

    return Workload(lambda: ours(dict(mine)), lambda: peer(dict(record)), check)


def indexed_crop(scale: float) -> Workload:
    """With the pixel index of the data set."""
    return _crop(scale, True)


def searched_crop(scale: float) -> Workload:
    """Without an index: the label is searched."""
    return _crop(scale, False)


@lru_cache(maxsize=1)
def _raster() -> tempfile.TemporaryDirectory[str]:
    """A tiled four-band uint16 GeoTIFF of 4096²."""
    import rasterio
    from rasterio.transform import from_origin

    folder = tempfile.TemporaryDirectory(prefix='imbdense-speed-')
    rng = np.random.default_rng(0)
    with rasterio.open(
        f'{folder.name}/image.tif', 'w', driver='GTiff', height=4096, width=4096, count=4, dtype='uint16', tiled=True,
        blockxsize=512, blockysize=512, compress='deflate', crs='EPSG:32616', transform=from_origin(5e5, 4e6, 1, 1),
    ) as target:
        for band in range(1, 5):
            target.write(rng.integers(200, 1200, (4096, 4096), dtype=np.uint16), band)
    return folder


def geotiff(scale: float) -> Workload:
    """Random windows of 512², starting on block borders against anywhere."""
    from imbdense.registry import TRANSFORMS

    path = f'{_raster().name}/image.tif'
    windows = int(16 * scale)
    aligned, free = (
        TRANSFORMS.build({'type': 'imbdense.LoadGeoTiffWindow', 'window_size': 512, 'align': align})
        for align in (True, False)
    )

    def read(load: Any) -> Any:
        np.random.seed(0)
        return [load({'img_path': path}) for _ in range(windows)]

    def check(ours: Any, peer: Any) -> str:
        for sample in (ours[0], peer[0]):
            again = TRANSFORMS.build({'type': 'imbdense.LoadGeoTiffWindow'})(
                {'img_path': path, 'window': sample['window']}
            )
            if not np.array_equal(again['img'], sample['img']):
                raise Unequal('a window read twice differs')
        return 'windows read twice are equal'

    return Workload(lambda: read(aligned), lambda: read(free), check)


CASES = (
    SpeedCase('rare-crop', 'RareClassCrop with pixel index, 512² of 1024²', 'mmseg RandomCrop, 10 retries', 0.2,
              indexed_crop, growth=None),
    SpeedCase('rare-crop-search', 'RareClassCrop searching the label, 512² of 1024²', 'mmseg RandomCrop, 10 retries',
              0.2, searched_crop),
    SpeedCase('geotiff-window', '512² windows of a tiled 4-band GeoTIFF, block-aligned', 'the same, unaligned', 0.4,
              geotiff, repeats=5),
)
