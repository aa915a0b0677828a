"""Airborne laser scanning: parallel scan lines with range noise, several echoes in foliage, intensities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.classes import HIGH_VEG, LOW_VEG, MEDIUM_VEG
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.mesh import FOLIAGE
from imbdense.data.scene.raycast import NO_HIT, RayCaster
from imbdense.data.scene.render import labels
from imbdense.data.scene.rng import stream
from imbdense.data.scene.shade import albedo
from imbdense.data.scene.terrain import Terrain
from imbdense.data.scene.world import World

ECHO = np.dtype([('xyz', '<f4', 3), ('intensity', '<f4'), ('semantic', 'u1'), ('instance', '<u2'),
                 ('return_number', 'u1'), ('number_of_returns', 'u1')])
_STEP_ON = np.float32(0.05)


@dataclass(frozen=True)
class Strip:
    """One flight line to the north: ``east`` and ``height`` of the sensor in m, its running number."""

    number: int
    east: float
    height: float


def plan_strips(config: CloudConfig, terrain: Terrain) -> list[Strip]:
    """Return evenly spread flight lines; swath ``W = 2 h tan(scan_angle)``, spacing at most ``(1 - overlap) W``. The
    sensor flies ``flight.agl`` above the mean ground under its line."""
    scene, lidar = config.scene, config.lidar
    swath = 2 * scene.flight.agl * math.tan(math.radians(lidar.scan_angle))
    count = max(math.ceil(scene.size / ((1 - lidar.overlap) * swath) - 1e-9), 1)
    along = np.linspace(0, scene.size, 64)
    strips = []
    for number in range(count):
        east = (number + 0.5) / count * scene.size
        height = float(terrain.height_at(np.full(64, east), along).mean()) + scene.flight.agl
        strips.append(Strip(number, east, height))
    return strips


def scan_strip(config: CloudConfig, world: World, caster: RayCaster, strip: Strip) -> NDArray[np.void]:
    """Return the echoes (N,) of one strip as records ``ECHO``, in order of time; those outside the scene left out.

    Pulses: scan lines across the strip, ``1 / sqrt(density)`` apart on level ground along and across. A pulse that
    meets leaves goes on behind them with probability ``transmission``, up to ``max_echoes`` echoes. Every echo's range
    has noise ``range_sigma``; intensity = mean albedo · cos(incidence), in [0, 1].
    """
    scene, lidar = config.scene, config.lidar
    rng = stream(scene.seed, 'scan', strip.number)
    step = 1 / math.sqrt(lidar.density)
    reach = scene.flight.agl * math.tan(math.radians(lidar.scan_angle))
    across = np.arange(-reach + step / 2, reach, step)
    along = np.arange(step / 2, scene.size, step)
    y, x = np.meshgrid(along, across, indexing='ij')
    shape = x.shape
    y = y + rng.uniform(-0.5, 0.5) * step + rng.uniform(-0.1, 0.1, (shape[0], 1)) * step
    x = x + rng.uniform(-0.5, 0.5, (shape[0], 1)) * step  # no two lines, strips or dates meet the same places
    origin = np.stack([np.full(x.size, strip.east), y.ravel(), np.full(x.size, strip.height)], 1).astype(np.float32)
    aim = np.stack([x.ravel(), np.zeros(x.size), np.full(x.size, -scene.flight.agl)], 1)
    direction = (aim / np.linalg.norm(aim, axis=1, keepdims=True)).astype(np.float32)
    pulse = np.arange(len(direction))
    parts, owners = [], []
    travelled = np.zeros(len(direction), np.float32)
    for _ in range(lidar.max_echoes):
        hits = caster.cast(origin[pulse] + travelled[pulse, None] * direction[pulse], direction[pulse])
        met = hits.face != NO_HIT
        semantic, instance = labels(world, hits)
        color, _ = albedo(world, hits, scene.render.texture)
        cosine = np.clip(np.abs(np.einsum('ij,ij->i', hits.normal, direction[pulse])), 0, 1)
        echo = np.zeros(len(pulse), ECHO)
        noise = np.float32(lidar.range_sigma) * rng.standard_normal(len(pulse), np.float32)
        echo['xyz'] = hits.point + noise[:, None] * direction[pulse]
        echo['intensity'] = np.clip(color.mean(axis=1) * cosine, 0, 1)
        echo['semantic'], echo['instance'] = semantic, instance
        parts.append(echo[met])
        owners.append(pulse[met])
        leaves = met & (world.texture[np.where(met, hits.face, 0)] == FOLIAGE)
        onward = leaves & (rng.random(len(pulse)) < lidar.transmission)
        travelled[pulse] += np.where(met, hits.depth, 0) + _STEP_ON
        pulse = pulse[onward]
        if len(pulse) == 0:
            break
    return _ordered(np.concatenate(parts), np.concatenate(owners), scene.size)


def _ordered(echoes: NDArray[np.void], pulse: NDArray[np.int64], size: float) -> NDArray[np.void]:
    """Echoes in order of pulses, numbered; those outside the scene are counted, then left out."""
    order = np.argsort(pulse, kind='stable')
    echoes, pulse = echoes[order], pulse[order]
    count = np.bincount(pulse)
    first = (np.cumsum(count) - count)[pulse]
    echoes['return_number'] = np.arange(len(pulse)) - first + 1
    echoes['number_of_returns'] = count[pulse]
    inside = np.all((echoes['xyz'][:, :2] >= 0) & (echoes['xyz'][:, :2] < size), axis=1)
    return echoes[inside]


def join_echoes(files: Sequence[Path]) -> Cloud:
    """Return the cloud of all strips, in order. Attributes: ``intensity`` float32 (N,), ``return_number`` and
    ``number_of_returns`` uint8 (N,)."""
    rows = np.concatenate([np.fromfile(path, ECHO) for path in files])
    instance = np.where(rows['instance'] == 0, -1, rows['instance'].astype(np.int32)).astype(np.int32)
    return Cloud(np.round(rows['xyz'].astype(np.float64), 3), rows['semantic'].copy(), instance, {
        name: rows[name].copy() for name in ('intensity', 'return_number', 'number_of_returns')})


def vegetation_by_height(cloud: Cloud, terrain: Terrain, bounds: tuple[float, float]) -> Cloud:
    """Return the cloud with every point of a plant labelled by its own height h above the terrain, as the ASPRS classes
    3, 4 and 5 of national surveys are: low h < ``bounds[0]`` <= medium h < ``bounds[1]`` <= high. Other classes,
    instances and the order stay."""
    x, y, z = cloud.xyz.T
    plants = np.array([LOW_VEG, MEDIUM_VEG, HIGH_VEG], np.uint8)
    own = plants[np.digitize(z - terrain.height_at(x, y), bounds)]
    return replace(cloud, semantic=np.where(np.isin(cloud.semantic, plants), own, cloud.semantic))
