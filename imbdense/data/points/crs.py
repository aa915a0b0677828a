"""Coordinate systems of clouds by name: two texts may mean one system (WKT of two programs, an EPSG code)."""

from __future__ import annotations

import contextlib
import re

NO_CRS = 'no coordinate system'


def crs_name(crs: str | None) -> str:
    """A short name: ``EPSG:2154`` where rasterio recognises the system, else the name in its WKT, else the text."""
    if not crs:
        return NO_CRS
    with contextlib.suppress(ImportError, ValueError):  # CRSError is a ValueError
        from rasterio.crs import CRS

        code = CRS.from_user_input(crs).to_epsg()
        if code is not None:
            return f'EPSG:{code}'
    quoted = re.search(r'\["([^"]+)"', crs)
    return quoted[1] if quoted else crs if len(crs) <= 60 else f'{crs[:57]}...'


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two texts mean one coordinate system; ``None``, not known, is like itself alone."""
    return one == other or (bool(one) and bool(other) and crs_name(one) == crs_name(other))
