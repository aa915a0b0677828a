"""Greedy k-centre against the textbook loop, bit by bit."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from imbdense.core.selection import FeatureRows, KCenterGreedy
from imbdense.core.selection.distances import pair_distances
from imbdense.core.selection.farthest_first import farthest_first
from imbdense.core.selection.k_center_greedy import mean_row
from imbdense.core.selection.nearest_centre import NearestCentre
from tests.helpers.selection_pools import pool_of, random_pool


def textbook(x: np.ndarray, start: list[int], count: int) -> list[int]:
    """One pass over all rows per centre; float32, as distances are usually computed."""
    rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    nearest = np.full(len(x), np.inf, np.float32)
    chosen = list(start)
    for centre in start:
        nearest = np.minimum(nearest, pair_distances(rows, rows[centre]).numpy())
    while len(chosen) < count + len(start):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, pair_distances(rows, rows[chosen[-1]]).numpy())
    return chosen[len(start) :]


def pools() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=6, size=(40, 24))
    grid = rng.integers(0, 3, size=(1500, 4)).astype(np.float32)
    return {
        'random': rng.normal(size=(3000, 48)),
        'clustered': centres[rng.integers(40, size=3000)] + rng.normal(size=(3000, 24)),
        'duplicates': np.repeat(rng.normal(size=(60, 32)), 30, axis=0)[rng.permutation(1800)],
        'grid with many ties': grid,
        'one hot': np.eye(300, dtype=np.float32)[rng.integers(300, size=900)],
        'far from the origin': rng.normal(size=(1500, 16)) + 500,
        'unit length': (lambda a: a / np.linalg.norm(a, axis=1, keepdims=True))(rng.normal(size=(2000, 64))),
        'identical': np.ones((50, 5)),
    }


@pytest.mark.parametrize('name', pools())
@pytest.mark.parametrize('candidates', [1, 17, 256, 4096])
def test_equals_the_textbook_loop(name: str, candidates: int) -> None:
    x = pools()[name].astype(np.float32)
    count = min(len(x) - 2, 200 if candidates > 1 else 60)
    nearest = NearestCentre(FeatureRows(x))
    nearest.add(np.array([3, 7]))
    found = [row for row, _ in islice(farthest_first(nearest, candidates), count)]
    assert found == textbook(x, [3, 7], count)


@pytest.mark.parametrize('seed', range(6))
def test_updates_for_many_centres_equal_those_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = FeatureRows((rng.normal(size=(700, 33)) * rng.choice([1e-3, 1, 1e3]) + rng.normal() * 10).astype(np.float32))
    centres = rng.permutation(700)[:90]
    one, many = NearestCentre(x), NearestCentre(x)
    many.add(centres)
    for centre in centres:
        one.add(np.array([centre]))
    assert np.array_equal(one.distance, many.distance)


def test_equal_rows_have_equal_distances_wherever_they_stand() -> None:
    """What the order of ties rests on: a row's sum does not depend on its neighbours or on how many there are."""
    rng = np.random.default_rng(0)
    for dim in (1, 3, 7, 33, 100, 384, 768, 1025):
        row, centre = torch.from_numpy(rng.normal(size=(2, 1, dim)).astype(np.float32))
        alone = pair_distances(row, centre)
        for count in (2, 5, 64, 4097):
            block = torch.from_numpy(rng.normal(size=(count, dim)).astype(np.float32))
            places = rng.integers(count, size=3)
            block[places] = row
            assert (pair_distances(block, centre[0])[places] == alone).all()


def test_worked_example() -> None:
    """Points 0 ... 9, three images: 4 (nearest the mean, tie with 5), then 9, then 0."""
    result = KCenterGreedy(normalize=False)(pool_of(np.arange(10)), 3)
    assert result.images.tolist() == [4, 9, 0]
    assert [choice.gain for choice in result.choices] == [0.0, 5.0, 4.0]
    assert [choice.rule for choice in result.choices] == ['nearest to the mean', 'farthest', 'farthest']


def test_radius_is_at_most_twice_the_best() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = np.sort(rng.random(9))
        chosen = KCenterGreedy(normalize=False)(pool_of(x), 3).images
        radius = np.abs(x[:, None] - x[chosen]).min(1).max()
        best = min(np.abs(x[:, None] - x[[a, b, c]]).min(1).max()
                   for a in range(9) for b in range(a) for c in range(b))
        assert radius <= 2 * best + 1e-6


def test_labelled_images_are_centres_and_the_budget_counts_new_ones() -> None:
    x = np.array([0.0, 0.5, 10, 10.5, 20])
    result = KCenterGreedy(normalize=False)(pool_of(x), 2, selected=[0])
    assert result.images.tolist() == [4, 2]
    assert KCenterGreedy(normalize=False)(pool_of(x), 1, selected=[4, 2]).images.tolist() == [0]


def test_objects_lead_to_images_once() -> None:
    """Objects at 0 and 100 lie on image 0; the third pick (an object of image 0) brings no image."""
    result = KCenterGreedy(normalize=False)(pool_of([0.0, 100.0, 48.0, 49.0, 60.0], [0, 0, 1, 2, 3]), 3)
    assert result.images.tolist() == [2, 0, 3]
    assert [choice.row for choice in result.choices] == [3, 1, 4]


def test_class_by_class_the_rarest_comes_first() -> None:
    """Class 3 has one object, class 0 five: shares ceil(3/2) = 2 (only one can be used), then 2."""
    pool = pool_of([0.0, 1.0, 2.0, 3.0, 4.0, 0.5], klass=[0, 0, 0, 0, 0, 3])
    result = KCenterGreedy(level='class_object', normalize=False)(pool, 3)
    assert result.images.tolist() == [5, 2, 0] and [choice.klass for choice in result.choices] == [3, 0, 0]
    assert not KCenterGreedy(level='class_object').prefix and KCenterGreedy().prefix


def test_image_level_uses_image_features_and_skips_those_that_are_not_finite() -> None:
    features = np.array([[0.0], [np.nan], [4.0], [10.0]], dtype=np.float32)
    pool = pool_of(np.zeros(4), img_feat=features)
    result = KCenterGreedy(level='image', normalize=False)(pool, 4)
    assert result.images.tolist() == [2, 3, 0, 1] and result.choices[3].rule == 'fill'
    assert '1 of 4 images are random' in result.notes[0]
    with pytest.raises(ValueError, match=r"level='image' needs img_feat"):
        KCenterGreedy(level='image')(pool_of(np.zeros(4)), 2)


def test_half_precision_memory_map_gives_the_same(tmp_path) -> None:
    pool = random_pool(objects=500)
    half = pool.obj_feat.astype(np.float16)
    np.save(tmp_path / 'f.npy', half)
    maps = np.load(tmp_path / 'f.npy', mmap_mode='r')
    one, two = (random_pool(objects=500) for _ in range(2))
    object.__setattr__(one, 'obj_feat', half.astype(np.float32))
    object.__setattr__(two, 'obj_feat', maps)
    assert KCenterGreedy()(one, 15).image_ids == KCenterGreedy()(two, 15).image_ids


def test_tables_beyond_what_is_kept_are_read_in_chunks(monkeypatch) -> None:
    x = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float16)
    expected = KCenterGreedy()(pool_of(x), 40).images
    monkeypatch.setattr('imbdense.core.selection.feature_rows.KEPT_BYTES', 0)
    monkeypatch.setattr('imbdense.core.selection.feature_rows.CHUNK_BYTES', 4 * 16 * 300)
    pool = pool_of(x)
    object.__setattr__(pool, 'obj_feat', x)
    assert np.array_equal(KCenterGreedy()(pool, 40).images, expected)


def test_mean_row() -> None:
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    assert np.allclose(mean_row(FeatureRows(x)), x.mean(0), atol=1e-6)


def test_candidates_must_be_positive() -> None:
    with pytest.raises(ValueError, match='candidates'):
        KCenterGreedy(candidates=0)
    with pytest.raises(ValueError, match='level'):
        KCenterGreedy(level='pixel')
