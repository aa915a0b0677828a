from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.terrain import TURNS, orientation, turn_vector
from tests.core.terrain.surfaces import hills

MOVES = {'horizontal': lambda z: z[:, ::-1], 'vertical': lambda z: z[::-1], 'diagonal': lambda z: z[::-1, ::-1],
         'rot90': lambda z: np.rot90(z), 'rot180': lambda z: np.rot90(z, 2), 'rot270': lambda z: np.rot90(z, 3),
         'transpose': lambda z: z.T}


@pytest.mark.parametrize('operation', list(TURNS))
def test_turned_vectors_are_those_of_the_turned_terrain(operation: str) -> None:
    move, z = MOVES[operation], hills(30, 41).numpy()
    east, north = orientation(z, (1.0, 1.0))
    wanted = orientation(np.ascontiguousarray(move(z)), (1.0, 1.0))
    found = turn_vector(move(east), move(north), operation)
    for one, two in zip(found, wanted):
        assert np.abs(one - two).max() < 1e-4


@pytest.mark.parametrize('operation', ['horizontal', 'vertical', 'transpose', 'rot180'])
def test_twice_is_nothing(operation: str) -> None:
    assert turn_vector(*turn_vector(0.6, 0.8, operation), operation) == (0.6, 0.8)


def test_the_rules() -> None:
    found = {name: turn_vector(3, 5, name) for name in TURNS}
    assert found == {'horizontal': (-3, 5), 'vertical': (3, -5), 'diagonal': (-3, -5), 'rot90': (-5, 3),
                     'rot180': (-3, -5), 'rot270': (5, -3), 'transpose': (-5, -3)}
    with pytest.raises(ValueError, match='operation'):
        turn_vector(1, 0, 'rot45')
