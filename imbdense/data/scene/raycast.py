"""Ray casting with Open3D's Embree scene, behind two calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.world import World

NO_HIT = np.uint32(0xFFFFFFFF)


def require_open3d() -> Any:
    """Import Open3D, or raise ``ImportError`` that tells how to install it."""
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ImportError(
            f'the scene generator needs Open3D, which could not be imported ({error}). Install it with '
            f'`pip install open3d-cpu==0.20.0`; on a bare machine also `apt-get install libusb-1.0-0 libgl1 libgomp1`. '
            f'`imbdense doctor` shows what is missing.'
        ) from error
    return open3d


@dataclass(frozen=True)
class Hits:
    """What N rays met.

    ``depth`` float32 (N,) ray parameter, inf where nothing was met; ``face`` uint32 (N,), ``NO_HIT`` there; ``normal``
    float32 (N, 3), turned towards the viewer; ``point`` float32 (N, 3).
    """

    depth: NDArray[np.float32]
    face: NDArray[np.uint32]
    normal: NDArray[np.float32]
    point: NDArray[np.float32]


class RayCaster:
    """One bounding-volume hierarchy over a world. Single-threaded: parallelism is over images, in processes."""

    def __init__(self, world: World) -> None:
        open3d = require_open3d()
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(open3d.core.Tensor(world.vertices), open3d.core.Tensor(world.faces))

    def cast(self, origin: NDArray[np.float32], direction: NDArray[np.float32]) -> Hits:
        """Cast rays: ``origin`` (3,) or (N, 3), ``direction`` (N, 3) of any length, the unit of the depth."""
        rays = np.empty((len(direction), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origin, direction
        answer = self._scene.cast_rays(rays, nthreads=1)
        depth, face = answer['t_hit'].numpy(), answer['primitive_ids'].numpy()
        normal = answer['primitive_normals'].numpy()
        facing = np.einsum('ij,ij->i', normal, direction)
        normal = np.where(facing[:, None] > 0, -normal, normal)
        reach = np.where(np.isfinite(depth), depth, np.float32(0))
        point = (rays[:, :3] + reach[:, None] * rays[:, 3:]).astype(np.float32, copy=False)
        return Hits(depth, face, normal, point)

    def faces(self, origin: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.uint32]:
        """Return only the face met by each ray, ``NO_HIT`` where none."""
        rays = np.empty((len(direction), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origin, direction
        return self._scene.cast_rays(rays, nthreads=1)['primitive_ids'].numpy()

    def occluded(self, origin: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether something lies between each ``origin`` (N, 3) and infinity along ``direction`` (3,)."""
        rays = np.empty((len(origin), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origin, direction
        return self._scene.test_occlusions(rays, nthreads=1).numpy()
