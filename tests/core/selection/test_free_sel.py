"""FreeSel against its loop, and the frequencies of its draws."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import FeatureRows, FreeSel
from imbdense.core.selection.free_sel import drawn_by_distance
from imbdense.core.selection.nearest_centre import NearestCentre
from tests.helpers.selection_pools import pool_of, random_pool


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('selected', [[], [2, 7]])
def test_farthest_equals_the_loop(seed: int, selected: list[int], monkeypatch) -> None:
    """All patterns of an image become chosen with it; cosine distances."""
    monkeypatch.setattr('imbdense.core.selection.free_sel.CANDIDATES', 16)
    pool = random_pool(seed, images=60, objects=170)
    unit = pool.obj_feat / np.linalg.norm(pool.obj_feat, axis=1, keepdims=True)
    cosine = 1 - unit.astype(np.float64) @ unit.T
    owner = pool.obj_image
    chosen = list(selected)
    if not chosen:
        chosen = [int(owner[((unit - unit.mean(0)) ** 2).sum(1).argmin()])]
    start = len(selected)
    while len(chosen) < 20 + start:
        nearest = cosine[:, np.isin(owner, chosen)].min(1)
        nearest[np.isin(owner, chosen)] = -1
        chosen.append(int(owner[nearest.argmax()]))
    result = FreeSel(rule='farthest', patterns=50)(pool, 20, selected=selected)
    assert result.images.tolist() == chosen[start:]


def test_draws_follow_the_squared_cosine_distance() -> None:
    """Second image after image 0: patterns at cosine distance .5, 1, 2 -> 1 : 4 : 16."""
    angles = np.array([0, np.arccos(0.5), np.pi / 2, np.pi])
    pool = pool_of(np.stack([np.cos(angles), np.sin(angles)], 1))
    second = [FreeSel(level='object', rule='prob')(pool, 1, selected=[0], seed=s).images[0] for s in range(900)]
    share = np.bincount(second, minlength=4)[1:] / 900
    assert np.allclose(share, np.array([1, 4, 16]) / 21, atol=0.05)


def test_stale_draws_follow_the_same_law() -> None:
    """Third row of a line: pairs drawn with updates deferred against the exact two-step probabilities."""
    x = np.array([[0.0], [1.0], [3.0], [4.0]], dtype=np.float32)
    exact = np.zeros((4, 4))
    for second in range(1, 4):
        first = (x[:, 0] ** 2) ** 2
        nearest = np.minimum(x[:, 0] ** 2, (x[:, 0] - x[second, 0]) ** 2) ** 2
        exact[second] = first[second] / first.sum() * nearest / nearest.sum()
    found = np.zeros((4, 4))
    for seed in range(900):
        nearest = NearestCentre(FeatureRows(x))
        nearest.add(np.array([0]))
        picks = drawn_by_distance(nearest, lambda row: np.array([row]), np.random.default_rng(seed))
        found[next(picks)[0], next(picks)[0]] += 1
    assert np.abs(found / 900 - exact).max() < 0.05


def test_the_first_image_is_as_likely_whatever_it_holds() -> None:
    """Five objects on image 0, one on each of the others; the published code draws an image, not a pattern."""
    pool = pool_of(np.random.default_rng(0).normal(size=(8, 3)), [0] * 5 + [1, 2, 3])
    first = [FreeSel(rule='prob')(pool, 1, seed=s).images[0] for s in range(400)]
    assert np.allclose(np.bincount(first, minlength=4) / 400, 0.25, atol=0.07)


def test_at_most_so_many_patterns_each_a_row_of_its_image() -> None:
    pool = random_pool(0, images=8, objects=160)
    result = FreeSel(rule='farthest', patterns=3)(pool, 8)
    assert len(result) == 8 and all(pool.obj_image[choice.row] == choice.image for choice in result.choices)


def test_images_as_wholes_have_no_patterns() -> None:
    with pytest.raises(ValueError, match="level must be one of"):
        FreeSel(level='image')
    with pytest.raises(ValueError, match='rule'):
        FreeSel(rule='nearest')
