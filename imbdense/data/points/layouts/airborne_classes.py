"""Six classes that airborne surveys (IGN LiDAR HD) and generated laser clouds have in common, for transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imbdense.data.points.class_map import IGNORED, ClassMap

CLASSES = ('ground', 'low vegetation', 'medium vegetation', 'high vegetation', 'building', 'other')
PALETTE = (
    (170, 130, 90), (190, 230, 120), (110, 190, 80), (20, 120, 50), (220, 60, 50), (255, 160, 30),
)
IGN_MEMBERS = {
    'ground': (2,), 'low vegetation': (3,), 'medium vegetation': (4,), 'high vegetation': (5,), 'building': (6,),
    'other': (1, 64, 67),
}
"""Codes of IGN LiDAR HD. *other* is what stands on the ground and is neither plant nor building: unclassified points
(in the sample tiles mostly cars, median 1.3 m above ground), lasting structures, other built."""
IGN_DROPPED = (9, 17, 65, 66)
"""Water and bridge decks, which no generated scene has; artefacts and virtual points, which are no things."""
GENERATED_MEMBERS = {
    'ground': (0, 15, 16, 18, 19), 'low vegetation': (2,), 'medium vegetation': (3,), 'high vegetation': (4,),
    'building': (1, 17), 'other': (5, 6, 7, 8, 9, 10, 11, 12, 13, 14),
}
"""Codes of the generator (STPLS3D): roads, dirt and grass are ground, windows belong to buildings; vehicles, aircraft,
cycles, poles, signs, clutter and fences are *other*. Nothing is dropped.

IGN calls plants low, medium and high by the height of each *point* (0.5 and 1.5 m), STPLS3D by that of the plant (2 and
5 m). The names mean the same only in clouds made with ``lidar.vegetation_bounds`` (preset ``ign-lidar``)."""


def airborne_map(members: Mapping[str, Sequence[int]], dropped: Sequence[int] = ()) -> ClassMap:
    """The class map of a data set with these codes per class; ``dropped`` codes are ignored."""
    codes = {code: CLASSES.index(name) for name, many in members.items() for code in many}
    return ClassMap(CLASSES, PALETTE, codes | dict.fromkeys(dropped, IGNORED))
