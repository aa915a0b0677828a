"""The classes that IGN LiDAR HD and generated laser clouds share: same list, every code of both named."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points.layouts import point_layout
from imbdense.data.points.layouts.airborne_classes import CLASSES
from imbdense.data.points.layouts.ign_lidar_hd import CODES
from imbdense.data.scene.classes import CLASS_NAMES

IGN, GENERATED = (point_layout(name).class_map('airborne') for name in ('ign_lidar_hd', 'aerial_scenes'))
DROPPED = {'water', 'bridge deck', 'artefact', 'virtual point'}
OTHER = {'unclassified', 'lasting structure', 'other built'}
GROUND = {'ground', 'road', 'dirt', 'grass'}


def test_both_have_the_same_classes_and_colours() -> None:
    assert IGN.classes == GENERATED.classes == CLASSES and IGN.palette == GENERATED.palette
    for one in (IGN, GENERATED):
        assert set(one.label_map.values()) - {-1} == set(range(6)), 'a class without a code'


@pytest.mark.parametrize('code', sorted(CODES))
def test_codes_of_ign(code: int) -> None:
    name = CODES[code]
    train = IGN.label_map[code]
    assert train == -1 if name in DROPPED else CLASSES[train] == ('other' if name in OTHER else name)


@pytest.mark.parametrize('code', sorted(CLASS_NAMES))
def test_codes_of_the_generator(code: int) -> None:
    name = CLASS_NAMES[code].replace('_', ' ')
    wanted = 'ground' if name in GROUND else 'building' if name == 'windows' else name
    assert CLASSES[GENERATED.label_map[code]] == (wanted if wanted in CLASSES else 'other')


def test_map_of_an_array() -> None:
    assert IGN.apply(np.array([2, 6, 66, 1, -1]), owner='tile').tolist() == [0, 4, -1, 5, -1]
    assert GENERATED.apply(np.array([15, 17, 4, 11]), owner='cloud').tolist() == [0, 4, 3, 5]
