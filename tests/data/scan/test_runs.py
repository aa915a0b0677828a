"""Run kernels against scipy, and numba against numpy."""

import numpy as np
import pytest
from scipy import ndimage

from imbdense.data.scan import runs, runs_numpy


@pytest.fixture(params=['numba', 'numpy'])
def module(request, monkeypatch):
    """Both kernels."""
    if request.param == 'numba':
        pytest.importorskip('numba')
        from imbdense.data.scan import runs_numba as chosen
    else:
        chosen = runs_numpy
    monkeypatch.setattr(runs, 'kernels', lambda: chosen)
    return chosen


def label_of(seed, cell):
    """A random label, coarse or fine, of odd sizes."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    coarse = rng.integers(0, 5, (height, width)).astype(np.uint8)
    return np.kron(coarse, np.ones((1, cell), np.uint8))


def lookup():
    """Value 2 becomes class 1, value 4 is ignored."""
    table = np.arange(256, dtype=np.uint8)
    table[[2, 4]] = 1, 255
    return table


@pytest.mark.parametrize('cell', [1, 7])
def test_counts_equal_scipy(module, cell):
    for seed in range(30):
        label = label_of(seed, cell)
        mapped = lookup()[label]
        found = runs.count_label(label, lookup(), 4, seed=(0, seed))
        assert np.array_equal(found.pixels, np.bincount(mapped.ravel(), minlength=256))
        for klass in range(4):
            parts, number = ndimage.label(mapped == klass, np.ones((3, 3)))
            assert found.regions[klass] == number
            sizes = np.bincount(parts.ravel())[1:]
            bins = np.floor(np.log2(sizes)).astype(int) if number else []
            assert np.array_equal(found.sizes[klass], np.bincount(bins, minlength=runs.SIZE_BINS))


def test_pixels_alone_equal_the_full_count(module):
    for seed in range(10):
        label = label_of(seed, 3)
        alone = runs.count_label(label, lookup(), 4, regions=False, positions=0)
        assert np.array_equal(alone.pixels, runs.count_label(label, lookup(), 4).pixels)
        assert alone.regions is None
        assert alone.positions.size == 0


def test_positions_lie_on_their_class_and_are_all_of_a_small_one(module):
    label = label_of(3, 7)
    mapped = lookup()[label].ravel()
    found = runs.count_label(label, lookup(), 4, positions=50, seed=(1, 2))
    for place, klass in enumerate(found.present):
        drawn = found.positions[found.pointer[place] : found.pointer[place + 1]]
        assert (mapped[drawn] == klass).all()
        assert (np.diff(drawn) >= 0).all()
        if found.pixels[klass] <= 50:
            assert np.array_equal(drawn, np.flatnonzero(mapped == klass))


def test_both_kernels_draw_the_same_positions():
    pytest.importorskip('numba')
    from imbdense.data.scan import runs_numba

    label = label_of(5, 9)
    drawn = []
    for module in (runs_numba, runs_numpy):
        extracted = module.extract_runs(label, lookup())
        slot = np.full(256, -1)
        slot[:2] = 0, 1
        pixels = module.count_pixels(*extracted, label.shape[1])
        ranks = np.concatenate([np.arange(pixels[0]), np.arange(pixels[1])])
        pointer = np.array([0, pixels[0], pixels[0] + pixels[1]])
        drawn.append(module.locate(*extracted, label.shape[1], slot, pointer, ranks))
    assert np.array_equal(*drawn)


def test_every_pixel_has_the_same_chance():
    label = np.zeros((10, 10), np.uint8)
    hits = np.zeros(100)
    for seed in range(600):
        hits += np.bincount(runs.count_label(label, lookup(), 1, positions=8, seed=(0, seed)).positions, minlength=100)
    expected = 600 * 8 / 100
    assert abs(hits - expected).max() < 5 * np.sqrt(expected)


def test_touching_corners_are_one_region_and_labels_of_one_pixel_work(module):
    cross = np.array([[1, 0], [0, 1]], np.uint8)
    assert runs.count_label(cross, lookup(), 2).regions.tolist() == [1, 1]
    assert runs.count_label(np.zeros((1, 1), np.uint8), lookup(), 2).regions.tolist() == [1, 0]
    assert runs.count_label(np.full((3, 3), 4, np.uint8), lookup(), 2).present.size == 0
