"""Where an object of a class may stand: kerb, lane, parking, pavement, corner, lot border, yard, apron, rack."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene import ground as g
from imbdense.data.scene.layout import Layout
from imbdense.data.scene.rng import stream


@dataclass(frozen=True)
class Site:
    """A candidate pose and the zone codes its footprint must not touch."""

    x: float
    y: float
    yaw: float
    forbidden: tuple[int, ...]


_NOT_STREET = (g.OPEN, g.WALK, g.BUILT, g.APRON)
_NOT_OPEN = (g.STREET, g.BUILT)
_KINDS: dict[int, tuple[tuple[str, float], ...]] = {
    c.VEHICLE: (('kerb', 0.7), ('lane', 0.2), ('parking', 0.1)),
    c.TRUCK: (('lane', 0.4), ('kerb', 0.3), ('yard', 0.3)),
    c.AIRCRAFT: (('apron', 1.0),),
    c.MILITARY: (('yard', 1.0),),
    c.BIKE: (('walk', 0.75), ('yard', 0.25)),
    c.MOTORCYCLE: (('kerb', 0.5), ('walk', 0.3), ('yard', 0.2)),
    c.LIGHT_POLE: (('walk', 1.0),),
    c.STREET_SIGN: (('corner', 0.6), ('walk', 0.4)),
    c.CLUTTER: (('yard', 0.8), ('walk', 0.2)),
    c.FENCE: (('border', 1.0),),
    c.HIGH_VEG: (('yard', 0.75), ('verge', 0.25)),
    c.MEDIUM_VEG: (('yard', 0.8), ('verge', 0.2)),
    c.LOW_VEG: (('yard', 0.85), ('verge', 0.15)),
}


class SiteFinder:
    """Draws candidate sites of a scene. Holds the street points (one per metre) that lie inside it."""

    def __init__(self, layout: Layout, size: float, seed: int) -> None:
        self.layout, self.size, self.seed = layout, size, seed
        self.street = _street_points(layout, size)
        self.corners = _corner_rows(self.street)
        self._poles = _pole_slots(self.street, stream(seed, 'pole_slots'))

    def propose(self, class_id: int, number: int | None, half: tuple[float, float], rng: np.random.Generator) -> Site:
        """Return a candidate for a footprint of half sizes ``half``; ``number`` picks the reserved slot of a pole."""
        if class_id == c.LIGHT_POLE and number is not None and number < len(self._poles):
            row, side = self._poles[number]
            return self._beside(self.street[row], side, 0.7, rng, jitter=1.0)
        names, weights = zip(*_KINDS[class_id])
        kind = str(names[int(np.searchsorted(np.cumsum(weights), rng.uniform() * sum(weights)))])
        if kind in ('kerb', 'lane', 'walk', 'corner', 'verge') and len(self.street) == 0:
            kind = 'yard'
        if kind == 'kerb':
            return self._on_street(half, rng, kerb=True)
        if kind == 'lane':
            return self._on_street(half, rng, kerb=False)
        if kind in ('walk', 'verge', 'corner'):
            rows = self.corners if kind == 'corner' and len(self.corners) else np.arange(len(self.street))
            row = self.street[int(rows[int(rng.integers(len(rows)))])]
            offset = 0.75 if kind != 'verge' else 2.2
            return self._beside(row, 1 if rng.uniform() < 0.5 else -1, offset, rng, jitter=0.5)
        if kind == 'border' and self.layout.lots:
            return self._on_border(half, rng)
        if kind in ('parking', 'apron'):
            return self._on_apron(kind, rng)
        return self._in_yard(rng)

    def rack_site(self, class_id: int, number: int, half: tuple[float, float]) -> Site | None:
        """Return the place of cycle ``number`` in its rack of 1–6 cycles side by side; ``None`` for the first one."""
        sizes = stream(self.seed, 'rack_sizes', class_id).integers(1, 7, 4096)
        ends = np.cumsum(sizes)
        rack = int(np.searchsorted(ends, number, side='right'))
        place = number - int(ends[rack] - sizes[rack])
        base = self.propose(class_id, number, half, stream(self.seed, 'rack', class_id, rack))
        step = place * (2 * half[1] + 0.12)
        return Site(base.x - step * np.sin(base.yaw), base.y + step * np.cos(base.yaw), base.yaw, _NOT_OPEN)

    def _on_street(self, half: tuple[float, float], rng: np.random.Generator, *, kerb: bool) -> Site:
        """Parked along the kerb, or driving on the right-hand lane."""
        x, y, ux, uy, width, _ = self.street[int(rng.integers(len(self.street)))]
        side = 1.0 if rng.uniform() < 0.5 else -1.0
        offset = max(width / 2 - half[1] - 0.2, 0.0) if kerb else width / 4
        along = float(rng.uniform(-0.5, 0.5))
        yaw = float(np.arctan2(uy, ux)) + (0.0 if side < 0 else np.pi) + float(rng.normal(0, 0.02))
        return Site(x + along * ux - side * offset * uy, y + along * uy + side * offset * ux, yaw, _NOT_STREET)

    def _beside(self, row: NDArray[np.float64], side: int, offset: float, rng: np.random.Generator, *,
                jitter: float) -> Site:
        """Next to the carriageway, x axis towards the street."""
        x, y, ux, uy, width, _ = row
        away = side * (width / 2 + offset + float(rng.uniform(0, 0.3)))
        along = float(rng.uniform(-jitter, jitter))
        yaw = float(np.arctan2(-side * ux, side * uy)) + float(rng.normal(0, 0.05))
        return Site(x + along * ux - away * uy, y + along * uy + away * ux, yaw, _NOT_OPEN)

    def _on_border(self, half: tuple[float, float], rng: np.random.Generator) -> Site:
        """Along one side of a lot."""
        lot = self.layout.lots[int(rng.integers(len(self.layout.lots)))]
        side = int(rng.integers(4))
        along = lot.half[0] if side % 2 == 0 else lot.half[1]
        slack = max(float(along) - half[0], 0.0)
        shift, inset = float(rng.uniform(-slack, slack)), 0.25
        local = {0: (shift, -lot.half[1] + inset), 1: (lot.half[0] - inset, shift), 2: (shift, lot.half[1] - inset),
                 3: (-lot.half[0] + inset, shift)}[side]
        cosine, sine = np.cos(lot.angle), np.sin(lot.angle)
        return Site(float(lot.center[0] + local[0] * cosine - local[1] * sine),
                    float(lot.center[1] + local[0] * sine + local[1] * cosine),
                    lot.angle + (side % 2) * np.pi / 2, _NOT_OPEN)

    def _on_apron(self, kind: str, rng: np.random.Generator) -> Site:
        """On a parking or apron lot at a right angle to it; in a yard when the scene has none."""
        uses = ('apron',) if kind == 'apron' else ('parking', 'apron', 'house')
        lots = [lot for lot in self.layout.lots if lot.use in uses]
        if not lots:
            return self._in_yard(rng)
        lot = lots[int(rng.integers(len(lots)))]
        local = lot.half * rng.uniform(-0.9, 0.9, 2)
        cosine, sine = np.cos(lot.angle), np.sin(lot.angle)
        return Site(float(lot.center[0] + local[0] * cosine - local[1] * sine),
                    float(lot.center[1] + local[0] * sine + local[1] * cosine),
                    lot.angle + np.pi / 2 * int(rng.integers(4)), _NOT_OPEN)

    def _in_yard(self, rng: np.random.Generator) -> Site:
        """Anywhere on open ground."""
        x, y = rng.uniform(0.01, 0.99, 2) * self.size
        return Site(float(x), float(y), float(rng.uniform(0, 2 * np.pi)), _NOT_OPEN)


def _street_points(layout: Layout, size: float) -> NDArray[np.float64]:
    """Rows (x, y, ux, uy, width, road index), one per metre of street inside the scene."""
    rows = [np.empty((0, 6))]
    for number, road in enumerate(layout.roads):
        for start, end in pairwise(road.points):
            length = float(np.linalg.norm(end - start))
            if length < 1:
                continue
            unit = (end - start) / length
            places = start + np.arange(0.5, length, 1.0)[:, None] * unit
            inside = np.all((places > 1) & (places < size - 1), axis=1)
            count = int(inside.sum())
            rows.append(np.column_stack([places[inside], np.tile([*unit, road.width, number], (count, 1))]))
    return np.concatenate(rows)


def _corner_rows(street: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of ``street`` that lie within 6–12 m (beyond the half width) of another street."""
    if len(street) == 0:
        return np.empty(0, np.int64)
    from scipy.spatial import cKDTree

    found = []
    for number in np.unique(street[:, 5]):
        mine, others = np.flatnonzero(street[:, 5] == number), street[street[:, 5] != number]
        if len(others):
            distance, nearest = cKDTree(others[:, :2]).query(street[mine, :2])
            gap = distance - others[nearest, 4] / 2
            found.append(mine[(gap > 1.5) & (gap < 5)])
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _pole_slots(street: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[int, int]]:
    """(street row, side) every 25–35 m on alternating sides, in random order."""
    slots: list[tuple[int, int]] = []
    for number in np.unique(street[:, 5]) if len(street) else ():
        rows = np.flatnonzero(street[:, 5] == number)
        place, side = float(rng.uniform(2, 15)), 1
        while place < len(rows):
            slots.append((int(rows[int(place)]), side))
            place, side = place + float(rng.uniform(25, 35)), -side
    return [slots[k] for k in rng.permutation(len(slots))]
