"""One tiny cloud with its images, and a way to survey a world without turning the dial."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.crew import Crew
from imbdense.data.scene.clouds.generate import CloudManifest, generate_cloud
from imbdense.data.scene.clouds.presets import CLOUD_PRESETS
from imbdense.data.scene.clouds.survey import Survey, Surveyor
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.shade import make_light
from imbdense.data.scene.world import World, WorldBuilder


def tiny(**parts: Any) -> CloudConfig:
    """The tiny preset, photographed four times at most places, without rounds of the dial."""
    scene: Mapping[str, Any] = {'seed': 3, 'mix': {'correction_rounds': 0}} | dict(parts.pop('scene', {}))
    return CLOUD_PRESETS['tiny'].cloud.changed(scene=scene, **parts)


def survey(config: CloudConfig, counts: Mapping[int, int]) -> tuple[Survey, World, WorldBuilder]:
    """Survey the scene of ``config`` with ``counts`` {class: number} objects."""
    builder = WorldBuilder(config.scene)
    world, _ = builder.build(counts)
    with tempfile.TemporaryDirectory() as folder, Crew(1, Path(folder)) as crew:
        surveyor = Surveyor(config, builder.terrain, plan_flight(config.scene, builder.terrain),
                            make_light(config.scene), crew)
        return surveyor(world), world, builder


def surface_points(world: World, faces: NDArray[np.int64], spacing: float = 0.2) -> NDArray[np.float64]:
    """Points spread evenly over some faces of a world, about one per ``spacing``²."""
    corners = world.vertices[world.faces[faces]].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    chosen = np.repeat(np.arange(len(faces)), np.maximum(np.rint(area / spacing**2).astype(int), 1))
    rng = np.random.default_rng(0)
    u, v = rng.uniform(size=(2, len(chosen)))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    first, second, third = corners[chosen].transpose(1, 0, 2)
    return first + u[:, None] * (second - first) + v[:, None] * (third - first)


@pytest.fixture(scope='session')
def tiny_cloud(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CloudConfig, CloudManifest]:
    """Folder, configuration and manifest of a cloud with images."""
    pytest.importorskip('open3d')
    config = tiny(images=True)
    folder = tmp_path_factory.mktemp('clouds') / 'tiny'
    return folder, config, generate_cloud(config, folder)
