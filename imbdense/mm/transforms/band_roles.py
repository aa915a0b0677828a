"""What the transforms of multi-band images share: the bands of a sample, date by date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imbdense.data.raster.bands import Band


def sample_bands(results: Mapping[str, Any], owner: str) -> tuple[tuple[Band, ...], int]:
    """Return the bands of one date of a sample and the number of dates.

    They are what the data set put into ``results['bands']``: bands, dicts with their fields, or names.

    Raises:
        ValueError: the sample does not name its bands, or not as many as the image has channels per date.
    """
    given = results.get('bands')
    if not given:
        raise ValueError(f"{owner}: the sample does not name its bands (results['bands']). Use "
                         f'imbdense.MultiSourceGeoTIFFDataset or imbdense.BiTemporalGeoTIFFDataset; images without '
                         f'vector bands can take the transforms of the host.')
    bands = tuple(Band.of(band) for band in given)
    dates = int(results.get('num_dates') or 1)
    channels = 1 if results['img'].ndim == 2 else results['img'].shape[2]
    if channels != dates * len(bands):
        raise ValueError(f'{owner}: the image has {channels} channels, but {dates} date(s) of {len(bands)} bands: '
                         f'{[band.name for band in bands]}.')
    return bands, dates
