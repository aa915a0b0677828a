"""Put objects on the ground without collisions: the scene graph of one scene."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import polygon
from imbdense.data.scene.assets import Asset, build_asset
from imbdense.data.scene.collision import CollisionIndex
from imbdense.data.scene.config import SceneConfig, object_scale
from imbdense.data.scene.ground import APRON, BUILT, STREET, GroundPlan
from imbdense.data.scene.layout import Layout
from imbdense.data.scene.rng import stream
from imbdense.data.scene.sites import Site, SiteFinder
from imbdense.data.scene.terrain import Terrain

_ORDER = (c.LIGHT_POLE, c.STREET_SIGN, c.AIRCRAFT, c.TRUCK, c.MILITARY, c.VEHICLE, c.HIGH_VEG, c.FENCE, c.MEDIUM_VEG,
          c.CLUTTER, c.BIKE, c.MOTORCYCLE, c.LOW_VEG)
"""Placing order: what has few possible places first, then the large before the small. Trees that are meant to reach
over small objects come after all of them."""
_VEGETATION = (c.LOW_VEG, c.MEDIUM_VEG, c.HIGH_VEG)
_CROWN_SHARE = 0.7
_GAP = 0.15
_POLE_FOOT = 0.3
_TRUNK = (0.5, 0.5)


@dataclass(frozen=True)
class SceneObject:
    """One placed object: class, running number inside its class, pose, asset. A second epoch edits a list of these."""

    class_id: int
    number: int
    x: float
    y: float
    z: float
    yaw: float
    asset: Asset


class Placer:
    """Places objects of one scene for any wanted number per class; meshes are built once and kept between calls."""

    def __init__(self, config: SceneConfig, layout: Layout, ground: GroundPlan, terrain: Terrain) -> None:
        self.config, self.layout, self.ground, self.terrain = config, layout, ground, terrain
        self.finder = SiteFinder(layout, config.size, config.seed)
        self._assets: dict[tuple[int, int], Asset] = {}

    def place(self, counts: Mapping[int, int]) -> list[SceneObject]:
        """Return the placed objects for the wanted ``counts`` {class id: number}.

        An instance that finds no free site in its tries is left out, so the result may hold fewer. Instance k of a
        class has the same asset and the same candidate sites whatever the counts are.
        """
        index = self._index_of_buildings()
        placed: list[SceneObject] = []
        jobs = [(class_id, number) for class_id in _ORDER for number in range(counts.get(class_id, 0))]
        covers = {job for job in jobs if self._covers(*job)}
        for class_id, number in [*(job for job in jobs if job not in covers), *sorted(covers)]:
            found = self._place_one(class_id, number, index, placed)
            if found is not None:
                placed.append(found)
        return placed

    def extend(self, placed: Sequence[SceneObject], counts: Mapping[int, int]) -> list[SceneObject]:
        """Return up to ``counts`` {class id: number} further objects that collide with none of ``placed``, nor with
        each other; their running numbers follow the highest one of their class."""
        index = self._index_of_buildings()
        for item in placed:
            half = _TRUNK if self._covers(item.class_id, item.number) else _footprint(item.class_id, item.asset)
            index.add(item.x, item.y, half, item.yaw)
        added: list[SceneObject] = []
        for class_id in _ORDER:
            first = max((item.number for item in placed if item.class_id == class_id), default=-1) + 1
            for number in range(first, first + counts.get(class_id, 0)):
                found = self._place_one(class_id, number, index, [*placed, *added])
                if found is not None:
                    added.append(found)
        return added

    def _index_of_buildings(self) -> CollisionIndex:
        """The taken ground of a scene without objects."""
        index = CollisionIndex()
        for plan in self.layout.buildings:
            center, half, angle = polygon.bounding_rectangle(plan.footprint)
            if plan.parts:
                for place, extent, turn in plan.parts:
                    index.add(float(place[0]), float(place[1]), (float(extent[0]), float(extent[1])), turn)
            else:
                index.add(float(center[0]), float(center[1]), (float(half[0]), float(half[1])), angle)
        return index

    def _covers(self, class_id: int, number: int) -> bool:
        """Whether this is a tree that shall reach over a small object."""
        share = self.config.mix.occlusion
        return class_id == c.HIGH_VEG and share > 0 and \
            float(stream(self.config.seed, 'covers', number).uniform()) < share

    def _asset(self, class_id: int, number: int) -> Asset:
        """Asset of one instance, built once."""
        key = (class_id, number)
        if key not in self._assets:
            rng = stream(self.config.seed, 'asset', class_id, number)
            self._assets[key] = build_asset(class_id, rng, object_scale(self.config.mix, class_id))
        return self._assets[key]

    def _place_one(self, class_id: int, number: int, index: CollisionIndex, placed: list[SceneObject]
                   ) -> SceneObject | None:
        """Try up to 40 candidate sites (vegetation: 60, it fills what is left)."""
        asset = self._asset(class_id, number)
        rng = stream(self.config.seed, 'site', class_id, number)
        small = [item for item in placed if item.class_id not in (*_VEGETATION, c.FENCE, c.AIRCRAFT)] \
            if self._covers(class_id, number) else []
        half = _TRUNK if small else _footprint(class_id, asset)
        site: Site | None
        for attempt in range(60 if class_id in _VEGETATION else 40):
            if small:
                site = _over(small[int(rng.integers(len(small)))], max(asset.half), rng)
            elif attempt == 0 and class_id in (c.BIKE, c.MOTORCYCLE):
                site = self.finder.rack_site(class_id, number, half)
            else:
                site = self.finder.propose(class_id, number if attempt == 0 else None, half, rng)
            if site is not None and self._clear(site, half, class_id) and \
                    index.is_free(site.x, site.y, (half[0] + _GAP, half[1] + _GAP), site.yaw):
                index.add(site.x, site.y, half, site.yaw)
                z = float(self.terrain.height_at(site.x, site.y))
                return SceneObject(class_id, number, site.x, site.y, z, site.yaw, asset)
        return None

    def _clear(self, site: Site, half: tuple[float, float], class_id: int) -> bool:
        """Inside the scene, and no sample of the footprint on a forbidden zone; crowns may reach over the street."""
        if not (0 < site.x < self.config.size and 0 < site.y < self.config.size):
            return False
        shrink = 0.4 if class_id in _VEGETATION else 1.0
        hx, hy = shrink * half[0], shrink * half[1]
        u, v = _unit_grid(int(4 * hx) + 2, int(4 * hy) + 2)
        cosine, sine = math.cos(site.yaw), math.sin(site.yaw)
        zones = self.ground.zone_at(site.x + u * (hx * cosine) - v * (hy * sine),
                                    site.y + u * (hx * sine) + v * (hy * cosine))
        paved = (APRON,) if class_id in _VEGETATION else ()  # nothing grows on a parking lot or apron
        return not bool(_zone_table(site.forbidden + paved)[zones].any())


def _footprint(class_id: int, asset: Asset) -> tuple[float, float]:
    """Half sizes of the ground an object takes: crowns may touch, the arm of a pole reaches over the street."""
    if class_id == c.LIGHT_POLE:
        return _POLE_FOOT, _POLE_FOOT
    crown = _CROWN_SHARE * max(asset.half)
    return (crown, crown) if class_id in _VEGETATION else asset.half


@functools.lru_cache(maxsize=4096)
def _unit_grid(columns: int, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sample places of a footprint in units of its half sizes, at most half a metre apart."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    return u.ravel(), v.ravel()


@functools.lru_cache(maxsize=16)
def _zone_table(forbidden: tuple[int, ...]) -> NDArray[np.bool_]:
    """Zone code → forbidden."""
    table = np.zeros(256, bool)
    table[list(forbidden)] = True
    return table


def _over(target: SceneObject, crown: float, rng: np.random.Generator) -> Site:
    """A trunk beside ``target``, near enough that the crown reaches over it."""
    angle = float(rng.uniform(0, 2 * np.pi))
    gap = min(target.asset.half) + 0.8
    distance = gap + float(rng.uniform(0, 0.5)) * max(crown - gap, 0.3)
    return Site(target.x + distance * float(np.cos(angle)), target.y + distance * float(np.sin(angle)), 0.0,
                (BUILT, STREET))
