"""The class list of STPLS3D aerial scenes and the mappings from raw ids to training classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VOID = 255
GROUND, BUILDING, LOW_VEG, MEDIUM_VEG, HIGH_VEG, VEHICLE, TRUCK, AIRCRAFT, MILITARY, BIKE, MOTORCYCLE = range(11)
LIGHT_POLE, STREET_SIGN, CLUTTER, FENCE, ROAD = range(11, 16)
WINDOWS, DIRT, GRASS = 17, 18, 19

CLASS_NAMES: dict[int, str] = {
    GROUND: 'ground', BUILDING: 'building', LOW_VEG: 'low_vegetation', MEDIUM_VEG: 'medium_vegetation',
    HIGH_VEG: 'high_vegetation', VEHICLE: 'vehicle', TRUCK: 'truck', AIRCRAFT: 'aircraft',
    MILITARY: 'military_vehicle', BIKE: 'bike', MOTORCYCLE: 'motorcycle', LIGHT_POLE: 'light_pole',
    STREET_SIGN: 'street_sign', CLUTTER: 'clutter', FENCE: 'fence', ROAD: 'road', WINDOWS: 'windows',
    DIRT: 'dirt', GRASS: 'grass',
}
CLASS_IDS: dict[str, int] = {name: number for number, name in CLASS_NAMES.items()}
OBJECT_CLASSES: tuple[int, ...] = tuple(range(LOW_VEG, FENCE + 1))
"""Classes with countable instances that the long-tail dial controls; ground and building are the remainder."""

PALETTE: dict[int, tuple[int, int, int]] = {
    GROUND: (150, 150, 140), BUILDING: (200, 90, 60), LOW_VEG: (170, 210, 100), MEDIUM_VEG: (100, 180, 70),
    HIGH_VEG: (40, 130, 50), VEHICLE: (60, 110, 240), TRUCK: (20, 40, 150), AIRCRAFT: (180, 220, 255),
    MILITARY: (90, 100, 40), BIKE: (255, 60, 200), MOTORCYCLE: (180, 0, 140), LIGHT_POLE: (255, 230, 0),
    STREET_SIGN: (255, 150, 0), CLUTTER: (230, 30, 30), FENCE: (140, 80, 200), ROAD: (90, 90, 100),
    WINDOWS: (130, 220, 230), DIRT: (170, 140, 100), GRASS: (190, 230, 160),
}


@dataclass(frozen=True)
class ClassMapping:
    """Raw id → contiguous training id.

    Attributes:
        name: name of the mapping.
        classes: training class names, index = training id.
        members: raw ids of each training class; a raw id that no class names becomes 255 (ignored).
        things: training ids whose instances go to the COCO file.
        palette: one RGB colour per training class.
    """

    name: str
    classes: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    things: tuple[int, ...]
    palette: tuple[tuple[int, int, int], ...]

    def table(self) -> np.ndarray:
        """Return the lookup table, uint8 (256,), from raw id to training id or 255."""
        table = np.full(256, VOID, np.uint8)
        for training_id, raw_ids in enumerate(self.members):
            table[list(raw_ids)] = training_id
        return table


def _mapping(name: str, groups: dict[str, tuple[int, ...]]) -> ClassMapping:
    """Build a mapping; a group is a thing when all its members are object classes, its colour is the first member's."""
    members = tuple(groups.values())
    things = tuple(k for k, raw in enumerate(members) if all(number in OBJECT_CLASSES for number in raw))
    return ClassMapping(name, tuple(groups), members, things, tuple(PALETTE[raw[0]] for raw in members))


MAPPINGS: dict[str, ClassMapping] = {
    'full': _mapping('full', {name: (number,) for number, name in CLASS_NAMES.items()}),
    'benchmark6': _mapping('benchmark6', {
        'ground': (GROUND, ROAD, 16, DIRT, GRASS),
        'building': (BUILDING, AIRCRAFT, BIKE, MOTORCYCLE, CLUTTER, WINDOWS),
        'tree': (HIGH_VEG, LOW_VEG, MEDIUM_VEG), 'car': (VEHICLE, TRUCK, MILITARY),
        'light_sign': (LIGHT_POLE, STREET_SIGN), 'fence': (FENCE,)}),
    'clean6': _mapping('clean6', {
        'ground': (GROUND, ROAD, 16, DIRT, GRASS), 'building': (BUILDING, WINDOWS),
        'tree': (HIGH_VEG, LOW_VEG, MEDIUM_VEG), 'car': (VEHICLE, TRUCK, MILITARY),
        'light_sign': (LIGHT_POLE, STREET_SIGN), 'fence': (FENCE,)}),
    'aerial': _mapping('aerial', {
        'ground': (GRASS, GROUND, DIRT), 'road': (ROAD,), 'building': (BUILDING, WINDOWS),
        'vegetation': (HIGH_VEG, LOW_VEG, MEDIUM_VEG), 'vehicle': (VEHICLE,), 'truck': (TRUCK, MILITARY),
        'two_wheeler': (BIKE, MOTORCYCLE), 'pole_sign': (LIGHT_POLE, STREET_SIGN), 'fence': (FENCE,),
        'clutter': (CLUTTER,)}),
    'land_cover': _mapping('land_cover', {
        'grass': (GRASS,), 'bare_soil': (DIRT,), 'sealed': (ROAD, GROUND), 'building': (BUILDING, WINDOWS),
        'tree': (HIGH_VEG, MEDIUM_VEG), 'shrub': (LOW_VEG,), 'vehicle': (VEHICLE, TRUCK, MILITARY, AIRCRAFT),
        'small_object': (CLUTTER, BIKE, MOTORCYCLE, LIGHT_POLE, STREET_SIGN, FENCE)}),
}
"""``full``: every class of the list (classes that do not occur are dropped when a data set is written);
``benchmark6``: the published six classes (aircraft, bikes and clutter count as *building*); ``clean6``: the same with
those four ignored; ``aerial``: ten classes for a rare-class demonstration (aircraft ignored); ``land_cover``: eight
classes for change detection (ground without a material label counts as sealed: pavements are such ground)."""
