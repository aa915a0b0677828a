"""Transform: normalise the bands of a raster by the statistics of the training area."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from imbdense.data.raster.statistics import BandStatistics
from imbdense.mm.transforms.band_roles import sample_bands
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class NormalizeBands(BaseTransform):
    """``(x - mean) / std`` per band with the data set's statistics; invalid pixels become 0, the mean.

    The statistics are those of the valid pixels of the training area (or of the checkpoint), the same for every date
    and scene. Vectors (eastness, northness) are left as they are. Last of the transforms that change values; the model
    then needs a data preprocessor without mean and std.

    Args:
        clip: clip to the 0.1 and 99.9 percentiles before, which tames outliers of sensors.

    Raises:
        ValueError: the sample has no ``band_statistics``, or those of other bands; it was cropped by a transform that
            does not know ``valid``.
    """

    card = 'multi_source_geotiff'
    tasks = ('segmentation', 'change_detection')

    def __init__(self, clip: bool = False) -> None:
        self.clip = bool(clip)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Normalise one sample to float32."""
        owner = type(self).__name__
        bands, dates = sample_bands(results, owner)
        statistics = results.get('band_statistics')
        if not isinstance(statistics, BandStatistics) or statistics.bands != tuple(band.name for band in bands):
            raise ValueError(f'{owner}: the sample has no statistics of its bands {[band.name for band in bands]}; use '
                             f'imbdense.MultiSourceGeoTIFFDataset or imbdense.BiTemporalGeoTIFFDataset.')
        image = results['img'].astype(np.float32)
        if self.clip:
            scalar = [number for number, band in enumerate(bands) if band.role not in ('east', 'north')]
            low, high = np.array(statistics.low, np.float32), np.array(statistics.high, np.float32)
            for date in range(dates):
                places = [date * len(bands) + number for number in scalar]
                image[..., places] = np.clip(image[..., places], low[scalar], high[scalar])
        mean, std = (np.tile(np.array(part), dates) for part in (statistics.mean, statistics.std))
        image = ((image - mean) / std).astype(np.float32)
        valid = results.get('valid')
        if valid is not None:
            if valid.shape != (*image.shape[:2], dates):
                raise ValueError(f'{owner}: the image is {image.shape[:2]}, but what is valid of it {valid.shape}: a '
                                 f'transform of the host has cropped or resized it. Put {owner} before that one.')
            image *= np.repeat(valid, len(bands), axis=2)
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(clip={self.clip})'
