"""Layouts of point data sets: where their scenes lie, what their codes mean, which split is which."""

from __future__ import annotations

import importlib

from imbdense.core.checks import check_choice
from imbdense.data.points.layout import PointLayout

LAYOUTS = ('stpls3d', 's3dis', 'scannet', 'toronto3d', 'dales', 'semantickitti', 'ign_lidar_hd')
"""Names of the layouts; each is a module of this package."""


def point_layout(name: str) -> PointLayout:
    """The layout of a data set; ``ValueError`` lists the names when there is none of that name."""
    check_choice('layout', name, LAYOUTS, owner='point_layout')
    found: PointLayout = importlib.import_module(f'{__name__}.{name}').LAYOUT
    return found
