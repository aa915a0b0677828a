"""What the transforms of pairs share: the names of their maps, the dates of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANGE = 'gt_seg_map'
"""The key of the change map."""


def date_key(date: int) -> str:
    """The key of the land cover of a date, counted from 0: ``gt_seg_map_t1`` for the first."""
    return f'{CHANGE}_t{date + 1}'


def land_cover_keys(results: Mapping[str, Any]) -> list[str]:
    """The keys of the land-cover maps that a sample has, by date; empty without."""
    return [date_key(date) for date in range(num_dates(results)) if date_key(date) in results]


def num_dates(results: Mapping[str, Any]) -> int:
    """D of a sample.

    Raises:
        ValueError: nothing says how many dates the channels hold.
    """
    dates = results.get('num_dates')
    if dates is None:
        raise ValueError('the sample does not say num_dates. Load it with imbdense.LoadChangePair.')
    return int(dates)


def split_dates(results: Mapping[str, Any]) -> list[NDArray[Any]]:
    """The images (H, W, B) of a sample, views of its ``img`` (H, W, D * B).

    Raises:
        ValueError: the channels are no multiple of the dates.
    """
    image, dates = results['img'], num_dates(results)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels % dates:
        raise ValueError(f'an image of {channels} channels cannot hold {dates} dates of equally many bands.')
    return np.split(image, dates, axis=2)
