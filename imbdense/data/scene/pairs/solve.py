"""The change dial at work: draw possible edits, look at what each would change, make those that give the share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.camera import OrthoCamera
from imbdense.data.scene.pairs.config import EDIT_KINDS, PairConfig
from imbdense.data.scene.pairs.edits import Edit, Element
from imbdense.data.scene.pairs.patches import Patch, patch_raster, patched_ground
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.raycast import RayCaster
from imbdense.data.scene.render import labels
from imbdense.data.scene.subset import choose_subset
from imbdense.data.scene.world import Building, World, WorldBuilder

_ROUNDS = 8


@dataclass(frozen=True)
class Epoch:
    """One date: its ``world``, the edit each instance id belongs to (``owner``, -1 = none), and the patches of ground
    with their edits."""

    world: World
    caster: RayCaster
    owner: NDArray[np.int64]
    patches: tuple[Patch, ...]
    patch_owner: NDArray[np.int64]


@dataclass(frozen=True)
class EditedPair:
    """Both dates with the edits that were made, the changed pixels each gives, and the share reached."""

    epochs: tuple[Epoch, Epoch]
    made: tuple[tuple[Edit, int], ...]
    share: float
    rounds: int


def solve_edits(config: PairConfig, builder: WorldBuilder, fixed: Sequence[Element], edits: Sequence[Edit]
                ) -> EditedPair:
    """Return the pair whose share of changed pixels comes nearest to ``config.change_share``.

    1. With every possible edit made, each changed pixel is counted for the edit it belongs to.
    2. Kind by kind, edits whose pixels add up to the kind's part of the asked share are chosen; what a kind misses goes
       to the next. A last choice over all kinds closes the gap.
    3. The pair is looked at (edits may hide each other) and the choice corrected, until the share is right. Shares are
       counted at full resolution, so what the last look found is what is written.
    """
    everything: NDArray[np.bool_] = np.ones(len(edits), bool)
    pixels = _changed_by_edit(config, builder, make_epochs(builder, fixed, edits, everything), len(edits))[:-1]
    target = config.change_share * config.count**2
    chosen = _first_choice(config, edits, pixels, target)
    best: EditedPair | None = None
    for rounds in range(1, _ROUNDS + 1):
        epochs = make_epochs(builder, fixed, edits, chosen)
        seen = _changed_by_edit(config, builder, epochs, len(edits))
        share = float(seen.sum()) / config.count**2
        if best is None or abs(share - config.change_share) < abs(best.share - config.change_share):
            made = tuple((edits[k], int(seen[k])) for k in np.flatnonzero(chosen))
            best = EditedPair(epochs, made, share, rounds)
        if abs(share - config.change_share) <= 0.3 * config.tolerance * config.change_share:
            break
        pixels = np.where(chosen, seen[:-1], pixels)
        following = choose_subset(pixels, target - float(seen[-1]), 0, chosen)
        if bool(np.array_equal(following, chosen)):
            break
        chosen = following
    if best is None:
        raise RuntimeError('no look was taken at the pair')
    return best


def make_epochs(builder: WorldBuilder, fixed: Sequence[Element], edits: Sequence[Edit], chosen: NDArray[np.bool_]
            ) -> tuple[Epoch, Epoch]:
    """Return the two dates with the chosen edits made."""
    dates = []
    for date in (0, 1):
        elements: list[tuple[Element, int]] = [(item, -1) for item in fixed]
        for number, (edit, made) in enumerate(zip(edits, chosen)):
            there = (edit.before, edit.after)[date] if made else edit.otherwise
            elements += [(item, number if made else -1) for item in there]
        dates.append(make_epoch(builder, elements))
    return dates[0], dates[1]


def make_epoch(builder: WorldBuilder, elements: Sequence[tuple[Element, int]]) -> Epoch:
    """Return one date: instance ids count buildings first, then objects."""
    buildings = [(item, owner) for item, owner in elements if isinstance(item, Building)]
    objects = [(item, owner) for item, owner in elements if isinstance(item, SceneObject)]
    patches = [(item, owner) for item, owner in elements if isinstance(item, Patch)]
    ground = patched_ground(builder.ground, [item for item, _ in patches])
    world = builder.assemble([item for item, _ in objects], [item for item, _ in buildings], ground)
    owners = np.array([-1, *(owner for _, owner in [*buildings, *objects])], np.int64)
    return Epoch(world, RayCaster(world), owners, tuple(item for item, _ in patches),
                 np.array([-1, *(owner for _, owner in patches)], np.int64))


def land_cover(config: PairConfig, epoch: Epoch, camera: OrthoCamera
               ) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32]]:
    """Return the training ids (N,), instance ids (N,) and points (N, 3) that ``camera`` sees."""
    hits = epoch.caster.cast(*camera.rays())
    semantic, instance = labels(epoch.world, hits)
    return c.MAPPINGS[config.mapping].table()[semantic], instance, hits.point


def changed(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the change map: 1 where two land-cover maps differ, 0 where they agree, 255 where either is unknown."""
    return np.where((first == c.VOID) | (second == c.VOID), np.uint8(c.VOID), (first != second).astype(np.uint8))


def top_of(builder: WorldBuilder) -> float:
    """Return a height above everything that can stand in the scene: the tallest asset is below 40 m."""
    return float(builder.terrain.heights.max()) + 60.0


def _changed_by_edit(config: PairConfig, builder: WorldBuilder, epochs: tuple[Epoch, Epoch], count: int
                     ) -> NDArray[np.float64]:
    """Changed pixels of each edit, float64 (count + 1,); the last entry belongs to none of them."""
    camera = OrthoCamera(config.scene.size, config.count, top_of(builder))
    (first, item_1, _), (second, item_2, point) = (land_cover(config, epoch, camera) for epoch in epochs)
    where = np.flatnonzero(changed(first, second) == 1)
    owner = epochs[0].owner[item_1[where]]
    owner = np.where(owner >= 0, owner, epochs[1].owner[item_2[where]])
    ground = builder.ground
    raster = patch_raster(ground, epochs[1].patches)
    last = raster.shape[0] - 1
    rows = np.clip(((ground.high - point[where, 1]) / ground.cell).astype(np.int64), 0, last)
    columns = np.clip(((point[where, 0] - ground.low) / ground.cell).astype(np.int64), 0, last)
    owner = np.where(owner >= 0, owner, epochs[1].patch_owner[raster[rows, columns]])
    return np.bincount(np.where(owner >= 0, owner, count), minlength=count + 1).astype(np.float64)


def _first_choice(config: PairConfig, edits: Sequence[Edit], pixels: NDArray[np.float64], target: float
                  ) -> NDArray[np.bool_]:
    """Edits per kind, coarse kinds first; then single additions, removals and swaps over all kinds."""
    effective = np.flatnonzero(pixels > 0)
    kinds = np.array([edit.kind for edit in edits])
    chosen = np.zeros(len(edits), bool)
    left, weight_left = target, sum(config.edits.values())
    for kind in EDIT_KINDS:
        weight = config.edits.get(kind, 0.0)
        members = effective[kinds[effective] == kind]
        if weight > 0 and len(members):
            chosen[members] = choose_subset(pixels[members], left * weight / weight_left, 0)
            left -= float(pixels[members][chosen[members]].sum())
        weight_left -= weight
        if weight_left <= 0:
            break
    chosen[effective] = choose_subset(pixels[effective], target, 0, chosen[effective])
    return chosen
