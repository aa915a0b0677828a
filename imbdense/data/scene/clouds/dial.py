"""The long-tail dial on points of the cloud: choose objects, survey, count, correct."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.camera import RaySource
from imbdense.data.scene.clouds.survey import Survey
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.dial import Pool, choose_objects, dial_report, dry_run_scale, fill_pool
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.world import World, WorldBuilder

_RATIO_GOAL = 0.1
_SHARE_GOAL = 0.75


@dataclass(frozen=True)
class CloudDial:
    """The world with the best mix found, its objects, its survey, and a JSON report of what was asked and reached."""

    world: World
    objects: tuple[SceneObject, ...]
    survey: Survey
    report: dict[str, Any]


def solve_cloud_mix(config: SceneConfig, builder: WorldBuilder, cameras: list[RaySource],
                    survey: Callable[[World], Survey]) -> CloudDial:
    """Return the world whose object classes have the asked shares and ratio *of the points of the cloud*.

    1. A pool of candidates and the pixels each shows at a quarter of the resolution, as for images
       (:func:`imbdense.data.scene.dial.fill_pool`). Points are first taken to be proportional to pixels.
    2. The choice is surveyed. Instances that were surveyed have their points, others their pixels times the points per
       pixel of their class, and the choice is corrected; up to ``mix.correction_rounds`` times, until the ratio is
       within 10 % and every share within 3/4 of ``mix.tolerance``. The best round is what is written.

    Streets, buildings, terrain and camera poses never change.
    """
    weights = mix.target_weights(config)
    pixels = sum(camera.width * camera.height for camera in cameras)
    scale = dry_run_scale(pixels)
    pool = fill_pool(config, builder, cameras, weights, pixels, scale)
    shown, total = pool.pixels.copy(), float(pixels)
    chosen: NDArray[np.bool_] = np.zeros(len(pool.objects), bool)
    best: tuple[float, CloudDial] | None = None
    for rounds in range(1, config.mix.correction_rounds + 2):
        before = chosen
        chosen = choose_objects(config, weights, pool, int(total), None if rounds == 1 else chosen)
        if rounds > 1 and bool(np.array_equal(chosen, before)):
            break
        objects = [item for item, keep in zip(pool.objects, chosen) if keep]
        world = builder.assemble(objects)
        found = survey(world)
        points = _points(found, world)
        total = float(len(found.cloud))
        per_class = _sums(pool.class_id[chosen], points)
        score = mix.misfit(weights, per_class)
        if best is None or score < best[0]:
            report = dial_report(config, weights, per_class, objects, rounds, scale) | {'counted': 'points'}
            best = (score, CloudDial(world, tuple(objects), found, report))
        if _good_enough(config, weights, per_class):
            break
        _learn(pool, shown, chosen, points)
    if best is None:
        raise ValueError('mix.correction_rounds must be at least 0.')
    best[1].report['rounds'] = rounds
    return best[1]


def _points(found: Survey, world: World) -> NDArray[np.float64]:
    """Points of every object of ``world``, float64 (objects,)."""
    instance = found.cloud.instance
    counts = np.bincount(instance[instance > 0], minlength=len(world.instances) + 1)
    return counts[1 + world.first_object:].astype(np.float64)


def _sums(class_id: NDArray[np.int64], points: NDArray[np.float64]) -> dict[int, float]:
    """Points per object class."""
    sums = np.bincount(class_id, weights=points, minlength=32)
    return {number: float(sums[number]) for number in c.OBJECT_CLASSES}


def _learn(pool: Pool, shown: NDArray[np.float64], chosen: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    """Put what a survey found into the pool's expectations (``pool.pixels``, now in points)."""
    everywhere = float(points.sum()) / max(float(shown[chosen].sum()), 1.0)
    for number in np.unique(pool.class_id):
        mine = pool.class_id == number
        seen = float(shown[mine & chosen].sum())
        got = float(points[(pool.class_id[chosen] == number)].sum())
        rate = max(got, 0.5) / seen if seen > 0 else everywhere
        pool.pixels[mine] = shown[mine] * rate
    pool.pixels[chosen] = points


def _good_enough(config: SceneConfig, weights: Mapping[int, float], points: Mapping[int, float]) -> bool:
    """Near the asked ratio, every share well inside the tolerance."""
    reached, wanted = mix.imbalance_ratio({number: points[number] for number in weights}), mix.asked_ratio(weights)
    if reached and wanted and abs(math.log(reached / wanted)) > _RATIO_GOAL:
        return False
    return all(abs(error) <= _SHARE_GOAL * config.mix.tolerance
               for error in mix.share_errors(weights, points).values())
