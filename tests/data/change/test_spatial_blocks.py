"""Splits by place: nothing leaks, shares are kept, tiles stay inside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_cdt

from imbdense.data.change.spatial_blocks import SpatialBlockSplit

SHAPE = (130, 97)


def division(buffer=6, seed=0, shares=None, **options):
    return SpatialBlockSplit(shares or {'train': 0.6, 'val': 0.25, 'test': 0.15}, 20, buffer, seed).divide(
        SHAPE, **options
    )


def whole(blocks, name):
    return blocks.usable(name, (0, 0, *SHAPE))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('buffer', [0, 1, 6])
def test_pixels_of_two_splits_are_apart(buffer, seed):
    """Chebyshev distance between any two splits, by a distance transform."""
    blocks = division(buffer, seed)
    masks = {name: whole(blocks, name) for name in blocks.names}
    for one in blocks.names:
        distance = distance_transform_cdt(~masks[one], 'chessboard')
        for two in blocks.names:
            if one != two and masks[two].any():
                assert distance[masks[two]].min() > 2 * buffer
    if buffer == 0:
        assert np.array_equal(sum(mask.astype(int) for mask in masks.values()), np.ones(SHAPE))


def test_a_window_of_usable_pixels_is_part_of_the_whole():
    blocks = division()
    for window in ((0, 0, 33, 41), (17, 23, 60, 50), (100, 60, 30, 37)):
        row, column, height, width = window
        for name in blocks.names:
            part = blocks.usable(name, window)
            assert np.array_equal(part, whole(blocks, name)[row : row + height, column : column + width])


def test_tiles_lie_in_their_split_and_cover_it():
    blocks = division()
    for name in blocks.names:
        seen = np.zeros(SHAPE, bool)
        for row, column, height, width in blocks.windows(name, 20):
            assert not seen[row : row + height, column : column + width].any(), 'without overlap no pixel comes twice'
            seen[row : row + height, column : column + width] = True
            assert blocks.split_of((row, column, height, width)) == name
        assert np.array_equal(seen, whole(division(0), name))
    assert all(blocks.split_of(window) for window in blocks.windows('train', 30, 5))


@pytest.mark.parametrize(('tile', 'overlap'), [(20, 0), (7, 0), (7, 3), (3, 1)])
def test_tiles_that_do_not_divide_a_block_cover_it_too(tile, overlap):
    seen = np.zeros(SHAPE, bool)
    blocks = division()
    for name in blocks.names:
        for row, column, height, width in blocks.windows(name, tile, overlap):
            assert max(height, width) <= tile
            seen[row : row + height, column : column + width] = True
    assert seen.all()


def test_reaching_into_two_splits():
    blocks = division()
    row, column = np.argwhere(blocks.owner[:, 1:] != blocks.owner[:, :-1])[0]
    assert blocks.split_of((20 * row, 20 * column, 20, 40)) is None


def test_shares_of_blocks_and_of_classes():
    blocks = division()
    numbers = np.bincount(blocks.owner.ravel(), minlength=3) / blocks.owner.size
    assert np.abs(numbers - [0.6, 0.25, 0.15]).max() < 0.5 / blocks.owner.size * 3
    rng = np.random.default_rng(0)
    label = np.full(SHAPE, 255, np.uint8)
    for _ in range(30):
        row, column = rng.integers(0, 120), rng.integers(0, 90)
        label[row : row + 9, column : column + 9] = rng.integers(0, 2)
    shares = {'train': 0.7, 'val': 0.3}
    chosen = division(shares=shares, label=label, num_classes=2)
    blind = [division(shares=shares, seed=seed) for seed in range(8)]

    def gap(found):
        owner = np.kron(found.owner, np.ones((20, 20), int))[: SHAPE[0], : SHAPE[1]]
        return max(abs(((label == k) & (owner == 0)).sum() / (label == k).sum() - 0.7) for k in (0, 1))

    assert gap(chosen) < 0.25 * np.mean([gap(found) for found in blind])


def test_equal_arguments_equal_splits():
    assert np.array_equal(division(seed=3).owner, division(seed=3).owner)
    assert any(not np.array_equal(division(seed=3).owner, division(seed=seed).owner) for seed in (4, 5))


def test_a_small_split_gets_a_block_and_a_label_may_be_empty():
    shares = {'train': 0.98, 'val': 0.01, 'test': 0.01}
    blocks = division(shares=shares, label=np.full(SHAPE, 255), num_classes=3)
    assert set(np.unique(blocks.owner)) == {0, 1, 2}


@pytest.mark.parametrize(
    ('shares', 'block', 'words'),
    [({'train': 1.0}, 9, 'two splits'), ({'a': 1, 'b': 0}, 9, 'above 0'), ({'a': 1, 'b': 1}, 0, 'block'),
     ({'a': 1, 'b': 1}, 500, 'smaller blocks')],
)  # fmt: skip
def test_wrong_arguments(shares, block, words):
    with pytest.raises(ValueError, match=words):
        SpatialBlockSplit(shares, block).divide(SHAPE)


def test_a_label_of_another_size():
    with pytest.raises(ValueError, match=r'\(3, 3\)'):
        division(label=np.zeros((3, 3)), num_classes=1)
