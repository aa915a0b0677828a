"""The files of a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.export_images import npz_bytes


def cloud_arrays(cloud: Cloud) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``cloud`` by the names they have in ``cloud.npz``."""
    return {'xyz': cloud.xyz, **cloud.attributes, 'semantic': cloud.semantic, 'instance': cloud.instance}


def write_cloud(folder: Path, cloud: Cloud, formats: Sequence[str]) -> list[str]:
    """Write ``cloud.<format>`` for each of ``formats`` into ``folder`` and return the names."""
    names = []
    for suffix in formats:
        path = folder / f'cloud.{suffix}'
        if suffix == 'npz':
            path.write_bytes(npz_bytes(**cloud_arrays(cloud)))
        else:
            _write_other(path, cloud)
        names.append(path.name)
    return names


def _write_other(path: Path, cloud: Cloud) -> None:
    """All other formats are the point writers'; text is that of STPLS3D: ``x,y,z,r,g,b,semantic,instance``, -100 = no
    instance (a laser survey has no colours: grey by its intensity)."""
    from imbdense.data.points import PointCloud, write_points
    from imbdense.data.points.layouts import stpls3d

    attributes: dict[str, NDArray[Any]] = dict(cloud.attributes)
    if path.suffix == '.txt':
        if 'rgb' not in attributes:
            grey = np.rint(255 * attributes['intensity']).astype(np.uint8)
            attributes['rgb'] = np.repeat(grey[:, None], 3, axis=1)
        attributes = {'rgb': attributes['rgb']}
    points = PointCloud(cloud.xyz, attributes, cloud.semantic.astype(np.int64), cloud.instance.astype(np.int64))
    (stpls3d.write if path.suffix == '.txt' else write_points)(path, points)
