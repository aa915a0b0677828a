"""The files of a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    """All other formats are the point readers' and writers'."""
    from imbdense.data.points import PointCloud, write_points

    attributes = {name: array for name, array in cloud.attributes.items() if path.suffix != '.txt' or name == 'rgb'}
    write_points(path, PointCloud(cloud.xyz, attributes, cloud.semantic.astype('int64'),
                                  cloud.instance.astype('int64')))
