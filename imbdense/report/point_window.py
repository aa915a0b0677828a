"""A window with a point cloud, by open3d; number keys switch the layers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.report.point_layers import PointLayer

NO_DISPLAY = '--window needs a display; without it a page and pictures are written instead.'


def show_window(title: str, xyz: NDArray[np.float64], layers: Sequence[PointLayer]) -> None:
    """Open a window and return when it is closed. Keys 1, 2, ... colour by the first, second, ... layer.

    Raises:
        RuntimeError: open3d is not installed, or there is no display.
    """
    if sys.platform.startswith('linux') and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        # open3d would draw off-screen and wait for ever for somebody to close what nobody sees
        raise RuntimeError(NO_DISPLAY)
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise RuntimeError(
            f'--window needs open3d, which does not import ({error}). Install it: pip install open3d-cpu; without '
            f'--window a page and pictures are written instead.'
        ) from error
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz - xyz.mean(axis=0)))
    viewer = open3d.visualization.VisualizerWithKeyCallback()
    if not viewer.create_window(f'{title}: ' + ', '.join(f'{i} {layer.name}' for i, layer in enumerate(layers, 1))):
        raise RuntimeError(NO_DISPLAY)

    def painter(layer: PointLayer) -> Any:
        colours = open3d.utility.Vector3dVector(layer.rgb / 255.0)

        def paint(window: Any) -> bool:
            cloud.colors = colours
            window.update_geometry(cloud)
            return False

        return paint

    cloud.colors = open3d.utility.Vector3dVector(layers[0].rgb / 255.0)
    viewer.add_geometry(cloud)
    for number, layer in enumerate(layers[:9], 1):
        viewer.register_key_callback(ord(str(number)), painter(layer))
    viewer.run()
    viewer.destroy_window()
