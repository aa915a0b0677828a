"""Correction rounds of the long-tail dial: place, look with a coarse dry run, correct the counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.camera import Camera
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.raycast import NO_HIT, RayCaster
from imbdense.data.scene.render import world_rays
from imbdense.data.scene.world import World, WorldBuilder

_DRY_RUN_RAYS = 3_000_000
_RATIO_GOAL = 0.08


@dataclass(frozen=True)
class DialResult:
    """The world with the best mix found, its objects, and a JSON report of what was asked and expected."""

    world: World
    objects: tuple[SceneObject, ...]
    report: dict[str, Any]


def solve_mix(config: SceneConfig, builder: WorldBuilder, cameras: Sequence[Camera]) -> DialResult:
    """Return the world whose object classes come nearest to the asked shares and ratio.

    Up to ``1 + mix.correction_rounds`` rounds: choose counts, place, measure the visible pixels per instance with a dry
    run at a quarter of the resolution (finer when the scene is so small that it costs nothing), correct. The best
    round wins. Streets, buildings, terrain and camera poses never change.
    """
    weights = mix.target_weights(config)
    total = sum(camera.width * camera.height for camera in cameras)
    scale = dry_run_scale(total)
    state = mix.first_guess(config, weights, total)
    best: tuple[float, World, list[SceneObject], dict[int, float]] | None = None
    tried: set[tuple[tuple[int, int], ...]] = set()
    rounds = 0
    for _ in range(config.mix.correction_rounds + 1):
        counts = mix.choose_counts(config, weights, state, total)
        key = tuple(sorted(counts.items()))
        if key in tried:
            break
        tried.add(key)
        rounds += 1
        world, objects = builder.build(counts)
        pixels = visible_pixels(world, cameras, scale)
        placed = _placed(objects)
        score = mix.misfit(weights, pixels)
        if best is None or score < best[0]:
            best = (score, world, objects, pixels)
        if _good_enough(config, weights, pixels, placed):
            break
        _learn(state, counts, placed, pixels)
    if best is None:
        raise ValueError('mix.correction_rounds must be at least 0.')
    return DialResult(best[1], tuple(best[2]), _report(config, weights, best[3], best[2], rounds, scale))


def dry_run_scale(total_pixels: int) -> float:
    """Return 1, 1/2 or 1/4: the finest that needs at most about 3 million rays."""
    for scale in (1.0, 0.5):
        if total_pixels * scale**2 <= _DRY_RUN_RAYS:
            return scale
    return 0.25


def visible_pixels(world: World, cameras: Sequence[Camera], scale: float) -> dict[int, float]:
    """Return the expected full-resolution pixels per object class, from rays at ``scale`` times the resolution."""
    caster = RayCaster(world)
    counts = np.zeros(256, np.int64)
    rays, pixels = 0, 0
    for camera in cameras:
        origin, directions = world_rays(camera, scale)
        face = caster.faces(origin, directions)
        on_object = face[(face != NO_HIT) & (face >= world.terrain_faces)]
        counts += np.bincount(world.semantic[on_object], minlength=256)
        rays += len(directions)
        pixels += camera.width * camera.height
    return {number: float(counts[number]) * pixels / max(rays, 1) for number in c.OBJECT_CLASSES}


def _placed(objects: Sequence[SceneObject]) -> dict[int, int]:
    """Number of placed objects per class."""
    counts = dict.fromkeys(c.OBJECT_CLASSES, 0)
    for item in objects:
        counts[item.class_id] += 1
    return counts


def _good_enough(config: SceneConfig, weights: Mapping[int, float], pixels: Mapping[int, float],
                 placed: Mapping[int, int]) -> bool:
    """Ratio near the asked one and every share inside the tolerance; a class at its minimum number is excused."""
    reached, wanted = mix.imbalance_ratio({number: pixels[number] for number in weights}), mix.asked_ratio(weights)
    if reached and wanted and abs(math.log(reached / wanted)) > _RATIO_GOAL:
        return False
    errors = mix.share_errors(weights, pixels)
    least = max(config.mix.min_instances, 1)
    return all(abs(error) <= config.mix.tolerance or (placed[number] <= least and error > 0)
               for number, error in errors.items())


def _learn(state: mix.DialState, counts: Mapping[int, int], placed: Mapping[int, int], pixels: Mapping[int, float]
           ) -> None:
    """Take over the measured pixels per instance; remember where there was no room."""
    for number, wanted in counts.items():
        if placed[number] > 0:
            seen = pixels[number] / placed[number]
            state.visible[number] = seen if seen > 0 else state.visible[number] / 2
        if placed[number] < 0.97 * wanted:
            state.limit[number] = max(placed[number], 1)


def _report(config: SceneConfig, weights: Mapping[int, float], pixels: Mapping[int, float],
            objects: Sequence[SceneObject], rounds: int, scale: float) -> dict[str, Any]:
    """What was asked and what the dry run expects, by class name."""
    names = {number: c.CLASS_NAMES[number] for number in weights}
    total = sum(weights.values()) or 1.0
    errors = mix.share_errors(weights, pixels)
    placed = _placed(objects)
    return {
        'asked_ratio': mix.asked_ratio(weights),
        'asked_shares': {names[number]: weight / total for number, weight in weights.items()},
        'expected_ratio': mix.imbalance_ratio({number: pixels[number] for number in weights}),
        'expected_share_error': {names[number]: round(error, 4) for number, error in errors.items()},
        'absent': sorted(c.CLASS_NAMES[number] for number in mix.absent_classes(config)),
        'outside_tolerance': sorted(names[number] for number, error in errors.items()
                                    if abs(error) > config.mix.tolerance),
        'instances': {names[number]: placed[number] for number in weights},
        'rounds': rounds,
        'dry_run_scale': scale,
    }
