"""Layouts of point data sets: where their scenes lie, what their codes mean, which split is which."""

from __future__ import annotations

import importlib

from imbdense.core.checks import check_choice
from imbdense.data.points.layout import PointLayout

LAYOUTS = {
    'stpls3d': 'stpls3d:LAYOUT', 's3dis': 's3dis:LAYOUT', 'scannet': 'scannet:LAYOUT',
    'scannet200': 'scannet:LAYOUT_200', 'toronto3d': 'toronto3d:LAYOUT', 'dales': 'dales:LAYOUT',
    'semantickitti': 'semantickitti:LAYOUT', 'ign_lidar_hd': 'ign_lidar_hd:LAYOUT',
    'aerial_scenes': 'aerial_scenes:LAYOUT',
}
"""Name of a data set -> module and attribute of its layout."""


def point_layout(name: str) -> PointLayout:
    """The layout of a data set; ``ValueError`` lists the names when there is none of that name."""
    check_choice('layout', name, LAYOUTS, owner='point_layout')
    module, attribute = LAYOUTS[name].split(':')
    found: PointLayout = getattr(importlib.import_module(f'{__name__}.{module}'), attribute)
    return found
