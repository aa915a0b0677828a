"""The long-tail dial at work: place a pool of objects, look with a dry run, keep those that give the asked mix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.camera import RaySource
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.raycast import NO_HIT, RayCaster
from imbdense.data.scene.subset import choose_subset
from imbdense.data.scene.world import World, WorldBuilder

_DRY_RUN_RAYS = 3_000_000
_RATIO_GOAL = 0.04
_POOL_ROUNDS = 4
_POOL_SURPLUS = 1.35


@dataclass(frozen=True)
class DialResult:
    """The world with the best mix found, its objects, and a JSON report of what was asked and expected."""

    world: World
    objects: tuple[SceneObject, ...]
    report: dict[str, Any]


@dataclass
class Pool:
    """Placed candidates: ``objects``, their class (N,), and their visible pixels (N,) as last seen."""

    objects: list[SceneObject]
    class_id: NDArray[np.int64]
    pixels: NDArray[np.float64]


def solve_mix(config: SceneConfig, builder: WorldBuilder, cameras: Sequence[RaySource]) -> DialResult:
    """Return the world whose object classes come nearest to the asked shares and ratio.

    1. A pool of candidates, about a third more than expected to be needed, is placed without collisions; a dry run at
       a quarter of the resolution (finer when the scene is small) counts the visible pixels of every instance. Where a
       class falls short the pool is enlarged; where it finds no room all targets shrink.
    2. Of each class the instances whose pixels add up to its target are kept; a dry run of that scene sees the pixels
       that the removed ones had hidden, and the choice is corrected, up to ``mix.correction_rounds`` times. The best
       round wins.

    Streets, buildings, terrain and camera poses never change.
    """
    weights = mix.target_weights(config)
    total = sum(camera.width * camera.height for camera in cameras)
    scale = dry_run_scale(total)
    pool = fill_pool(config, builder, cameras, weights, total, scale)
    chosen: NDArray[np.bool_] = np.zeros(len(pool.objects), bool)
    best: tuple[float, World, list[SceneObject], dict[int, float]] | None = None
    rounds = 0
    while rounds <= config.mix.correction_rounds:
        before = chosen
        chosen = choose_objects(config, weights, pool, total, None if rounds == 0 else chosen)
        if rounds > 0 and bool(np.array_equal(chosen, before)):
            break
        rounds += 1
        objects = [item for item, keep in zip(pool.objects, chosen) if keep]
        world = builder.assemble(objects)
        pool.pixels[chosen] = visible_pixels(world, cameras, scale)[world.first_object:]
        pixels = per_class(pool, chosen)
        score = mix.misfit(weights, pixels)
        if best is None or score < best[0]:
            best = (score, world, objects, pixels)
        if _good_enough(config, weights, pixels):
            break
    if best is None:
        raise ValueError('mix.correction_rounds must be at least 0.')
    return DialResult(best[1], tuple(best[2]), dial_report(config, weights, best[3], best[2], rounds, scale))


def dry_run_scale(total_pixels: int) -> float:
    """Return 1, 1/2 or 1/4: the finest that needs at most about 3 million rays."""
    for scale in (1.0, 0.5):
        if total_pixels * scale**2 <= _DRY_RUN_RAYS:
            return scale
    return 0.25


def visible_pixels(world: World, cameras: Sequence[RaySource], scale: float) -> NDArray[np.float64]:
    """Return the expected full-resolution pixels of every instance of ``world`` (buildings first), float64 (I,), from
    rays at ``scale`` times the resolution."""
    caster = RayCaster(world)
    counts = np.zeros(len(world.instances) + 1, np.int64)
    rays, pixels = 0, 0
    for camera in cameras:
        face = caster.faces(*camera.rays(scale))
        counts += np.bincount(world.instance[face[face != NO_HIT]], minlength=len(counts))
        rays += len(face)
        pixels += camera.width * camera.height
    return counts[1:].astype(np.float64) * (pixels / max(rays, 1))


def fill_pool(config: SceneConfig, builder: WorldBuilder, cameras: Sequence[RaySource], weights: Mapping[int, float],
               total: int, scale: float) -> Pool:
    """Place candidates until every class can reach its target; where one finds no room, all targets shrink."""
    visible = mix.first_guess(config, weights, total)
    everything, least = sum(weights.values()) or 1.0, max(config.mix.min_instances, 1)
    granular = max((least * 0.6 * visible[number] / weight for number, weight in weights.items()), default=0.0)
    anchor = max(config.mix.object_share * total / everything, min(granular, mix.LARGEST_SHARE * total / everything))
    for _ in range(_POOL_ROUNDS):
        counts = {number: max(math.ceil(_POOL_SURPLUS * anchor * weight / visible[number]), least + 3)
                  for number, weight in weights.items()}
        world, objects = builder.build(counts)
        pool = Pool(objects, np.array([item.class_id for item in objects], np.int64),
                    visible_pixels(world, cameras, scale)[world.first_object:])
        seen, placed = per_class(pool, np.ones(len(objects), bool)), np.bincount(pool.class_id, minlength=32)
        reach = {number: seen[number] / (anchor * weight) for number, weight in weights.items()}
        short = [number for number in weights if reach[number] < 1.02]
        if not short:
            break
        full = [reach[number] for number in short if placed[number] < 0.9 * counts[number]]
        anchor *= max(min(full, default=1.0), 0.4)
        for number in weights:
            if seen[number] > 0:
                visible[number] = seen[number] / placed[number]
    return pool


def choose_objects(config: SceneConfig, weights: Mapping[int, float], pool: Pool, total: int,
            start: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The instances of each class that add up to its target."""
    chosen = np.zeros(len(pool.objects), bool)
    members = {number: np.flatnonzero(pool.class_id == number) for number in weights}
    placeable = {number: weight for number, weight in weights.items() if float(pool.pixels[members[number]].sum()) > 0}
    if not placeable:
        return chosen
    least, most = {}, {}
    for number in placeable:
        ordered = np.sort(pool.pixels[members[number]])
        ordered = ordered[ordered > 0]
        least[number] = float(ordered[: max(config.mix.min_instances, 1)].sum())
        most[number] = float(ordered.sum())
    anchor = mix.choose_anchor(config, placeable, least, most, total)
    for number, weight in placeable.items():
        index = members[number]
        chosen[index] = choose_subset(pool.pixels[index], anchor * weight, config.mix.min_instances,
                                      None if start is None else start[index])
    return chosen


def per_class(pool: Pool, chosen: NDArray[np.bool_]) -> dict[int, float]:
    """Visible pixels per object class of the chosen instances."""
    sums = np.bincount(pool.class_id[chosen], weights=pool.pixels[chosen], minlength=32)
    return {number: float(sums[number]) for number in c.OBJECT_CLASSES}


def _good_enough(config: SceneConfig, weights: Mapping[int, float], pixels: Mapping[int, float]) -> bool:
    """Ratio near the asked one and every share inside half the tolerance."""
    reached, wanted = mix.imbalance_ratio({number: pixels[number] for number in weights}), mix.asked_ratio(weights)
    if reached and wanted and abs(math.log(reached / wanted)) > _RATIO_GOAL:
        return False
    return all(abs(error) <= config.mix.tolerance / 2 for error in mix.share_errors(weights, pixels).values())


def dial_report(config: SceneConfig, weights: Mapping[int, float], pixels: Mapping[int, float],
            objects: Sequence[SceneObject], rounds: int, scale: float) -> dict[str, Any]:
    """What was asked and what the dry run expects, by class name."""
    names = {number: c.CLASS_NAMES[number] for number in weights}
    total = sum(weights.values()) or 1.0
    errors = mix.share_errors(weights, pixels)
    placed = np.bincount([item.class_id for item in objects], minlength=32)
    return {
        'asked_ratio': mix.asked_ratio(weights),
        'asked_shares': {names[number]: weight / total for number, weight in weights.items()},
        'expected_ratio': mix.imbalance_ratio({number: pixels[number] for number in weights}),
        'expected_share_error': {names[number]: round(error, 4) for number, error in errors.items()},
        'absent': sorted(c.CLASS_NAMES[number] for number in mix.absent_classes(config)),
        'outside_tolerance': sorted(names[number] for number, error in errors.items()
                                    if abs(error) > config.mix.tolerance),
        'instances': {names[number]: int(placed[number]) for number in weights},
        'rounds': rounds,
        'dry_run_scale': scale,
    }
