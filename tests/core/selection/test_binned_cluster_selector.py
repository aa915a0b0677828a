"""Selection by clusters and distance bins: what it promises on synthetic pools, its contract, and its cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core.selection.binned_cluster_selector import BinnedClusterSelector
from imbdense.core.selection.cluster_bins import cluster_and_bin
from imbdense.core.selection.ofds import OFDS
from tests.core.selection.binned_cases import satellites, tile_pool
from tests.helpers.two_ranks import run_two_ranks


def seen(parts: np.ndarray, chosen: np.ndarray) -> int:
    """Satellites with at least three chosen points."""
    return int((np.bincount(parts[chosen], minlength=7)[1:] >= 3).sum())


def coverage(points: np.ndarray, parts: np.ndarray, chosen: np.ndarray) -> float:
    """Mean distance to the nearest chosen point, averaged over the core and the satellites."""
    distance = torch.cdist(torch.from_numpy(points), torch.from_numpy(points[chosen])).min(1).values.numpy()
    return float(np.mean([distance[parts == part].mean() for part in range(7)]))


def nearest_to_centroid(points: np.ndarray, clusters: int, budget: int, seed: int) -> np.ndarray:
    """Equally many of each cluster, nearest first: the usual rule without bins."""
    found = cluster_and_bin(torch.from_numpy(points.astype(np.float32)), clusters, seed=seed)
    members = [np.flatnonzero(found.clusters == cluster) for cluster in range(clusters)]
    return np.concatenate([rows[np.argsort(found.distances[rows])][: budget // clusters] for rows in members])


def test_satellites_of_a_dense_core() -> None:
    """5 % of 4000 points in 32 dimensions, 8 clusters: no fewer satellites than random, and nearer to all parts."""
    selector = BinnedClusterSelector(k_rule='tiles_per_cluster', tiles_per_cluster=500)
    found: dict[str, list[tuple[int, float]]] = {'binned': [], 'random': []}
    for seed in range(10):
        points, parts = satellites(seed)
        chosen = selector(tile_pool(points), 200, seed=seed).images
        drawn = np.random.default_rng(seed).choice(4000, 200, replace=False)
        found['binned'].append((seen(parts, chosen), coverage(points, parts, chosen)))
        found['random'].append((seen(parts, drawn), coverage(points, parts, drawn)))
    (ours, near), (random, far) = (np.mean(found[key], axis=0) for key in ('binned', 'random'))
    assert ours >= random and near < 0.97 * far


def test_satellites_merged_with_the_core() -> None:
    """Two clusters cannot keep six satellites apart (8 dimensions: they lie outside of the core). The nearest to the
    centroids come from the core; the outer bins hold the satellites."""
    selector = BinnedClusterSelector(k_rule='tiles_per_cluster', tiles_per_cluster=2000)
    ours, nearest = [], []
    for seed in range(10):
        points, parts = satellites(seed, dim=8)
        ours.append(seen(parts, selector(tile_pool(points), 200, seed=seed).images))
        nearest.append(seen(parts, nearest_to_centroid(points, 2, 200, seed)))
    assert np.mean(ours) >= np.mean(nearest) + 3


def test_classes_are_balanced() -> None:
    """Nine classes, 100 : 1; nine times the smallest: equal counts, where proportional choice is far from it."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1000, 10, 9).astype(int)
    classes = rng.permutation(np.repeat(np.arange(9), sizes))
    pool = tile_pool(rng.normal(size=(len(classes), 16)) + classes[:, None], classes)
    counts = {
        balance: np.bincount(classes[BinnedClusterSelector(class_balance=balance)(pool, 90).images], minlength=9)
        for balance in ('equal', None)
    }
    assert np.ptp(counts['equal']) <= 1 and np.ptp(counts[None]) > 20
    more = np.bincount(classes[BinnedClusterSelector()(pool, 200).images], minlength=9)
    assert more[-1] == 10 and np.ptp(more[:-1]) <= 1 + max(0, more[:-1].max() - sizes[:-1].min())


@pytest.mark.parametrize('allocation', ['exact', 'reference'])
def test_every_group_contributes(allocation: str) -> None:
    """20 groups of 5 tiles beside one of 1500; without groups some of the small ones vanish."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(21), [1500] + [5] * 20)
    pool = tile_pool(rng.normal(size=(1600, 8)), groups=groups)
    for seed in range(3):
        chosen = BinnedClusterSelector(allocation=allocation)(pool, 120, seed=seed).images
        assert set(groups[chosen]) == set(range(21))
        mixed = BinnedClusterSelector(allocation=allocation, per_group=False)(pool, 120, seed=seed).images
        assert len(set(groups[mixed])) < 21


def test_bins_share_the_choice() -> None:
    rng = np.random.default_rng(0)
    selection = BinnedClusterSelector()(tile_pool(rng.normal(size=(900, 8))), 100)
    rules = np.unique([choice.rule for choice in selection.choices], return_counts=True)
    assert rules[0].tolist() == [f'bin {b}' for b in range(5)] and np.ptp(rules[1]) <= 4
    first = [choice.cluster for choice in selection.choices[:30]]
    assert len(set(first)) == 30  # 30 clusters, one after the other


def test_reference_draws_as_published_and_goes_on() -> None:
    """600 tiles, 25 clusters: the first round gives 22 to 25 %; a larger budget takes further rounds."""
    rng = np.random.default_rng(0)
    pool = tile_pool(rng.normal(size=(600, 8)))
    small = BinnedClusterSelector(allocation='reference')(pool, 100)
    large = BinnedClusterSelector(allocation='reference')(pool, 400)
    assert len(small) == 100 and len(large) == 400 and 'fill' not in {choice.rule for choice in large.choices}
    assert small.report['cells'] <= 125


def test_labelled_images_count_as_drawn() -> None:
    """Two equal blobs, one with 50 labelled tiles: the next 50 come from the other."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(200, 4)), rng.normal(size=(200, 4)) + 50])
    selector = BinnedClusterSelector(k_rule='tiles_per_cluster', tiles_per_cluster=200)
    chosen = selector(tile_pool(points), 50, selected=np.arange(50)).images
    assert (chosen >= 200).sum() == 50
    assert abs(int((selector(tile_pool(points), 50).images >= 200).sum()) - 25) <= 1


def test_images_with_many_objects_count_once() -> None:
    rng = np.random.default_rng(0)
    images = np.sort(rng.integers(0, 60, 900))
    pool = tile_pool(rng.normal(size=(900, 8)), rng.integers(0, 3, 900), images=images)
    for budget in (1, 20, 59, 60, 70):
        selection = BinnedClusterSelector()(pool, budget)
        assert len(set(selection.images.tolist())) == len(selection) == min(budget, pool.num_images)
        assert all(choice.rule != 'fill' for choice in selection.choices)
        assert all(images[choice.row] == choice.image for choice in selection.choices)


@pytest.mark.parametrize('allocation', ['exact', 'reference'])
@pytest.mark.parametrize('rows', [1, 3, 40])
@pytest.mark.parametrize('equal', [True, False])
def test_small_and_equal_pools(allocation: str, rows: int, equal: bool) -> None:
    features = np.ones((rows, 4)) if equal else np.random.default_rng(0).normal(size=(rows, 4))
    selector = BinnedClusterSelector(allocation=allocation)
    for budget in (0, 1, rows, rows + 5):
        selection = selector(tile_pool(features), budget, seed=1)
        assert len(selection) == min(budget, rows) and len(set(selection.images.tolist())) == len(selection)
    one = [choice.cluster for choice in selector(tile_pool(features), rows).choices]
    assert not equal or set(one) == {0}


def test_rows_that_are_not_finite_are_left_out_and_told() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4))
    features[7, 2], features[9] = np.nan, np.inf
    selection = BinnedClusterSelector()(tile_pool(features), 48)
    assert not {7, 9} & set(selection.images.tolist()) and '2 objects' in selection.notes[0]
    everything = BinnedClusterSelector()(tile_pool(features), 50)
    assert {choice.image for choice in everything.choices if choice.rule == 'fill'} == {7, 9}


def test_no_object_at_all() -> None:
    empty = tile_pool(np.zeros((0, 4)))
    assert len(BinnedClusterSelector()(empty, 5)) == 0
    hopeless = tile_pool(np.full((6, 4), np.nan))
    assert len(BinnedClusterSelector()(hopeless, 4)) == 4


def _select(seed: int) -> list[tuple[int, str, float]]:
    rng = np.random.default_rng(0)
    pool = tile_pool(rng.normal(size=(500, 300)), rng.integers(0, 2, 500), rng.integers(0, 3, 500))
    selectors = (BinnedClusterSelector(), OFDS())
    return [(c.image, c.rule, c.gain) for selector in selectors for c in selector(pool, 60, seed=seed).choices]


def test_equal_on_every_process_and_for_every_global_seed() -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    first = _select(3)
    np.random.seed(2)
    torch.manual_seed(2)
    assert _select(3) == first and _select(4) != first
    assert run_two_ranks(_select, 3) == [first, first]


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [({'num_bins': 0}, 'num_bins'), ({'k_rule': 'cube'}, 'k_rule'), ({'alpha': 2.0}, 'alpha'),
     ({'fraction': 0.0}, 'fraction'), ({'allocation': 'all'}, 'allocation'),
     ({'class_balance': 'sqrt'}, 'class_balance'),
     ({'distance_space': 'pca'}, 'distance_space'), ({'tiles_per_cluster': 0}, 'tiles_per_cluster')],
)
def test_errors_name_the_argument(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        BinnedClusterSelector(**arguments)


def test_record_of_the_selection() -> None:
    pool = tile_pool(np.random.default_rng(0).normal(size=(50, 4)))
    selection = BinnedClusterSelector(alpha=0.3)(pool, 5)
    assert selection.selector['type'] == 'BinnedClusterSelector' and selection.selector['alpha'] == 0.3
    assert selection.report['chosen_per_class'] == {'class 0': 5}


def test_whole_images() -> None:
    """``level='image'`` of a pool of images is what 'object' is of one object per image; objects play no part."""
    points, _ = satellites(0)
    groups = np.arange(4000) // 1000
    tiles = tile_pool(points, groups=groups)
    few = tile_pool(np.ones((2, 3)), images=np.array([0, 3999]), groups=groups)
    images = replace(few, img_feat=tiles.obj_feat)
    selected = [5, 17]
    one = BinnedClusterSelector()(tiles, 50, selected, seed=3)
    two = BinnedClusterSelector(level='image')(images, 50, selected, seed=3)
    assert one.images.tolist() == two.images.tolist() and one.report.items() >= two.report.items()
    assert all(choice.row == choice.klass == -1 and choice.cluster >= 0 for choice in two.choices)
    assert {choice.rule for choice in two.choices} == {f'bin {number}' for number in range(5)}


def test_images_without_a_finite_feature_come_last() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    points[7] = np.nan
    pool = replace(tile_pool(np.zeros((0, 3)), images=np.zeros(0)), image_ids=[str(i) for i in range(40)],
                   img_feat=points)
    chosen = BinnedClusterSelector(level='image')(pool, 40)
    assert chosen.images[-1] == 7 and chosen.notes[0].startswith('1 images with features that are not finite')
    assert chosen.notes[1] == '1 of 40 images are random: no other image has a finite feature.'
    with pytest.raises(ValueError, match="level='image' needs img_feat"):
        BinnedClusterSelector(level='image')(tile_pool(points[:5]), 1)
    with pytest.raises(ValueError, match='level'):
        BinnedClusterSelector(level='class_object')  # type: ignore[arg-type]
