from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmcv')
from imbdense.core.terrain import orientation
from imbdense.mm.transforms.geo_turn import GeoFlip, GeoRot90, turn_sample
from tests.mm.transforms.geo_samples import sample

OPERATIONS = {'horizontal': lambda z: z[:, ::-1], 'vertical': lambda z: z[::-1], 'diagonal': lambda z: z[::-1, ::-1],
              'rot90': np.rot90, 'rot180': lambda z: np.rot90(z, 2), 'rot270': lambda z: np.rot90(z, 3)}


@pytest.mark.parametrize('operation', list(OPERATIONS))
def test_vectors_turn_with_the_terrain_at_every_date_and_maps_follow(operation: str) -> None:
    before, after, move = sample(2), sample(2), OPERATIONS[operation]
    turn_sample(after, operation, 'test')
    for date in range(2):
        first = 6 * date
        height = np.ascontiguousarray(move(before['img'][..., first + 3]))
        assert np.array_equal(after['img'][..., first + 3], height)
        for place, wanted in zip((4, 5), orientation(height, (1.0, 1.0))):
            assert np.abs(after['img'][..., first + place] - wanted).max() < 1e-4
    for key in ('gt_seg_map', 'gt_seg_map_t1', 'valid'):
        assert np.array_equal(after[key], move(before[key]))
    assert after['img_shape'] == after['img'].shape[:2] == after['gt_seg_map'].shape


@pytest.mark.parametrize(('operation', 'times'), [('horizontal', 2), ('vertical', 2), ('rot90', 4), ('rot180', 2)])
def test_back_where_it_began(operation: str, times: int) -> None:
    before, after = sample(2), sample(2)
    for _ in range(times):
        turn_sample(after, operation, 'test')
    assert np.array_equal(before['img'], after['img'])


def downhill(item: dict[str, Any]) -> np.ndarray:
    """A toy network that knows no direction of its own: how fast red falls in the direction downhill."""
    red, east, north = (item['img'][..., place].astype(float) for place in (0, 4, 5))
    south, right = np.gradient(red)
    return -(east * right - north * south)


@pytest.mark.parametrize('operation', list(OPERATIONS))
def test_an_equivariant_network_sees_the_same_in_a_turned_sample(operation: str) -> None:
    before, after = sample(), sample()
    turn_sample(after, operation, 'test')
    assert np.allclose(downhill(after), OPERATIONS[operation](downhill(before)))
    forgotten = sample()
    forgotten['img'] = np.ascontiguousarray(OPERATIONS[operation](forgotten['img']))
    assert not np.allclose(downhill(forgotten), OPERATIONS[operation](downhill(before)))


def test_the_host_seed_decides_and_every_turn_comes() -> None:
    np.random.seed(0)
    one = [GeoRot90()(sample())['rot90'] for _ in range(40)]
    np.random.seed(0)
    assert one == [GeoRot90()(sample())['rot90'] for _ in range(40)] and set(one) == {0, 1, 2, 3}
    flips = {(item['flip'], item['flip_direction']) for item in (GeoFlip()(sample()) for _ in range(40))}
    assert flips == {(False, None), (True, 'horizontal'), (True, 'vertical')}
    assert GeoFlip(1.0, 'diagonal')(sample())['flip_direction'] == 'diagonal'
    assert np.array_equal(GeoFlip(0.0)(sample())['img'], sample()['img'])


def test_samples_that_do_not_name_their_bands_are_refused() -> None:
    for change in ({'bands': None}, {'num_dates': 2}):
        with pytest.raises(ValueError, match='bands'):
            GeoFlip(1.0)(sample() | change)
    with pytest.raises(ValueError, match='direction'):
        GeoFlip(direction='left')
