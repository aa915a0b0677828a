from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.change.spatial_blocks import SpatialBlocks, SpatialBlockSplit
from imbdense.data.raster import window_draws as module
from imbdense.data.raster.window_draws import (
    Area,
    ChangeAwareWindowSampler,
    ClassBalancedWindowSampler,
    PixelPool,
    RandomWindowSampler,
    build_sampler,
    draw_stream,
    grid_windows,
)

SHAPE = (500, 430)


def blocks(buffer: int = 10) -> SpatialBlocks:
    """Twenty blocks of 100 px."""
    return SpatialBlockSplit({'train': 0.6, 'val': 0.2, 'test': 0.2}, 100, buffer, 1).divide(SHAPE)


def gap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> int:
    """Pixels between two windows (Chebyshev); negative where they overlap."""
    return max(max(one[0], two[0]) - min(one[0] + one[2], two[0] + two[2]),
               max(one[1], two[1]) - min(one[1] + one[3], two[1] + two[3]))


def test_windows_of_different_subsets_keep_their_distance() -> None:
    windows = {name: grid_windows(Area(SHAPE, (32, 32), blocks(), name)) for name in ('val', 'test')}
    area = Area(SHAPE, (32, 32), blocks(), 'train')
    windows['train'] = [RandomWindowSampler().draw(area, draw_stream(0, k)) for k in range(200)]
    for name, other in (('train', 'val'), ('train', 'test'), ('val', 'test')):
        assert min(gap(a, b) for a in windows[name] for b in windows[other]) >= 10


def test_the_grid_covers_the_whole_subset() -> None:
    found = np.zeros(SHAPE, int)
    for row, column, height, width in grid_windows(Area(SHAPE, (64, 48))):
        found[row:row + height, column:column + width] += 1
    assert found.min() >= 1
    area, covered = Area(SHAPE, (32, 32), blocks(0), 'val'), np.zeros(SHAPE, bool)
    for row, column, height, width in grid_windows(area):
        covered[row:row + height, column:column + width] = True
    assert np.array_equal(covered, blocks(0).usable('val', (0, 0, *SHAPE)))


def test_a_draw_depends_on_seed_and_number_only() -> None:
    area = Area(SHAPE, (32, 32), blocks(), 'train')
    one = [RandomWindowSampler().draw(area, draw_stream(3, k)) for k in (7, 5)]
    two = [RandomWindowSampler().draw(area, draw_stream(3, k)) for k in (5, 7)]
    assert one == two[::-1] and one[0] != one[1]
    assert RandomWindowSampler().draw(area, draw_stream(4, 7)) != one[0]


def label() -> np.ndarray:
    """Two classes 1:999, the rare one in a corner."""
    found = np.zeros(SHAPE, np.uint8)
    found[440:450, 20:41] = 1
    return found


def pool_of(values: np.ndarray) -> PixelPool:
    """Both blocks of a pass."""
    pool = PixelPool()
    pool.add(values[:256], (0, 0), np.random.default_rng(0))
    pool.add(values[256:], (256, 0), np.random.default_rng(1))
    return pool


@pytest.mark.parametrize(('beta', 'low', 'high'), [(-1.0, 0.0, 0.12), (0.0, 0.4, 0.7), (0.5, 0.9, 1.0)])
def test_class_balanced_windows_hold_the_rare_class_as_often_as_beta_says(beta: float, low: float, high: float) -> None:
    area = Area(SHAPE, (32, 32), pools={'class': pool_of(label())})
    draws = [ClassBalancedWindowSampler(beta).draw(area, draw_stream(0, k)) for k in range(300)]
    hits = [label()[r:r + h, c:c + w].any() for r, c, h, w in draws]
    assert low <= np.mean(hits) <= high


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_change_aware_windows_show_the_asked_share_of_change(share: float) -> None:
    area = Area(SHAPE, (32, 32), pools={'change': pool_of(label())})
    draws = [ChangeAwareWindowSampler(share).draw(area, draw_stream(1, k)) for k in range(300)]
    hits = np.mean([label()[r:r + h, c:c + w].any() for r, c, h, w in draws])
    assert share <= hits + 0.08 and hits <= share + 0.12
    places = {(r, c) for r, c, _, _ in draws}
    assert len(places) > 100  # the windows are moved, not one around each pixel


def test_a_pool_is_bounded_and_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'POOL', 300)
    pool = PixelPool()
    for number in range(10):
        pool.add(np.zeros((20, 30), np.uint8), (20 * number, 0), np.random.default_rng(number))
    assert pool.pixels == {0: 6000} and pool.places[0].shape == (300, 2)
    assert pool.places[0][:, 0].mean() == pytest.approx(99.5, abs=12)


def test_an_area_without_the_class_is_drawn_anywhere() -> None:
    area = Area(SHAPE, (32, 32), pools={'class': PixelPool(), 'change': PixelPool()})
    for sampler in (ClassBalancedWindowSampler(), ChangeAwareWindowSampler(1.0)):
        assert area.allows(sampler.draw(area, draw_stream(0, 0)))


def test_small_rasters_give_small_windows_and_small_blocks_an_error() -> None:
    assert grid_windows(Area((20, 30), (64, 64))) == [(0, 0, 20, 30)]
    assert RandomWindowSampler().draw(Area((20, 30), (64, 64)), draw_stream(0, 0)) == (0, 0, 20, 30)
    with pytest.raises(ValueError, match='larger block'):
        RandomWindowSampler().draw(Area(SHAPE, (200, 200), blocks(), 'val'), draw_stream(0, 0))


def test_samplers_from_configs() -> None:
    assert build_sampler(None) == RandomWindowSampler()
    config: dict[str, object] = {'type': 'imbdense.ClassBalancedWindowSampler', 'beta': 1.0}
    assert build_sampler(config) == ClassBalancedWindowSampler(1.0)
    for wrong in ({'type': 'Nothing'}, {'type': 'RandomWindowSampler', 'beta': 1}):
        with pytest.raises(ValueError, match='windows'):
            build_sampler(wrong)
    with pytest.raises(ValueError, match='frac_change'):
        ChangeAwareWindowSampler(1.5)
