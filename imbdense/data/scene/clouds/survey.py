"""A survey of a world: the flight's images matched and fused, or laser strips put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import Camera
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.crew import Crew
from imbdense.data.scene.clouds.fusion import Cloud, fuse
from imbdense.data.scene.clouds.lidar import Strip, join_echoes, plan_strips, scan_strip, vegetation_by_height
from imbdense.data.scene.clouds.stereo import match_image, no_points_hint
from imbdense.data.scene.raycast import RayCaster
from imbdense.data.scene.shade import Light
from imbdense.data.scene.terrain import Terrain
from imbdense.data.scene.world import World


@dataclass(frozen=True)
class SurveyJob:
    """Everything a process needs for one image or strip of a survey; samples go to files in ``folder``."""

    config: CloudConfig
    world: World
    light: Light
    folder: Path

    def start(self) -> Callable[[Camera | Strip], NDArray[np.int64]]:
        """Return the task; builds the ray-casting scene once."""
        caster = RayCaster(self.world)

        def task(item: Camera | Strip) -> NDArray[np.int64]:
            if isinstance(item, Strip):
                samples = scan_strip(self.config, self.world, caster, item)
                pixels: NDArray[np.int64] = np.bincount(samples['semantic'], minlength=256)
            else:
                found = match_image(self.config, self.world, caster, self.light, item)
                samples, pixels = found.samples, found.pixels
            samples.tofile(self.folder / f'{item.number:06d}.samples')
            return pixels

        return task


@dataclass(frozen=True)
class Survey:
    """``cloud``, and ``pixels`` int64 (256,): matched pixels (photogrammetry) or echoes (lidar) per raw class."""

    cloud: Cloud
    pixels: NDArray[np.int64]


class Surveyor:
    """Surveys worlds of one scene; cameras, strips and light are the same for all of them."""

    def __init__(self, config: CloudConfig, terrain: Terrain, cameras: Sequence[Camera], light: Light, crew: Crew,
                 progress: Callable[[int, int], None] | None = None) -> None:
        self.config, self.light, self.crew, self.progress = config, light, crew, progress
        self.terrain = terrain
        self.items: Sequence[Any] = cameras if config.mode == 'photogrammetry' else plan_strips(config, terrain)

    def __call__(self, world: World) -> Survey:
        """Survey ``world``.

        Raises:
            ValueError: no point came out; the message says what to change.
        """
        folder = self.crew.folder / 'samples'
        folder.mkdir()
        pixels = np.zeros(256, np.int64)
        for number, found in enumerate(self.crew.run(SurveyJob(self.config, world, self.light, folder), self.items)):
            pixels += found
            if self.progress is not None:
                self.progress(number + 1, len(self.items))
        files = [folder / f'{item.number:06d}.samples' for item in self.items]
        if self.config.mode == 'photogrammetry':
            cloud = fuse(files, self.config.stereo.voxel, self.config.stereo.min_views)
        else:
            cloud = join_echoes(files)
            bounds = self.config.lidar.vegetation_bounds
            if bounds is not None:
                cloud = vegetation_by_height(cloud, self.terrain, bounds)
                pixels = np.bincount(cloud.semantic, minlength=256)
        for path in files:
            path.unlink()
        folder.rmdir()
        if len(cloud) == 0:
            raise ValueError(f'the cloud is empty: {no_points_hint(self.config)}')
        return Survey(cloud, pixels)
