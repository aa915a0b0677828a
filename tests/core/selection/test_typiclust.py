"""TypiClust: the worked example, its order of clusters, and a written-out reference."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import FeatureRows, TypiClust, kmeans
from imbdense.core.selection.typiclust import typicality
from tests.helpers.selection_pools import pool_of, random_pool


def test_worked_example() -> None:
    """Members at 0, 1, 1.2, 5: k = 2; mean squared distances 1.22, .52, .74, 15.22."""
    values = typicality(FeatureRows(np.array([[0.0], [1.0], [1.2], [5.0]], dtype=np.float32)))
    assert np.allclose(1 / values - 1e-5, [1.22, 0.52, 0.74, 15.22], rtol=1e-5)
    assert TypiClust(normalize=False)(pool_of([0.0, 1.0, 1.2, 5.0]), 1).images.tolist() == [1]


def test_single_row() -> None:
    assert typicality(FeatureRows(np.zeros((1, 3), np.float32))).tolist() == [1.0]


def reference(x: np.ndarray, labels: np.ndarray, seeds: list[int], budget: int) -> list[int]:
    """Round-robin over the clusters, everything computed anew for every pick, float64."""
    labels = labels.copy()
    size, known = np.bincount(labels), np.bincount(labels[seeds], minlength=labels.max() + 1)
    clusters = [c for c in range(len(size)) if size[c] > 5] or list(range(len(size)))
    clusters.sort(key=lambda c: (known[c], -size[c]))
    labels[seeds] = -1
    picked: list[int] = []
    turn = 0
    while len(picked) < budget:
        members = np.flatnonzero(labels == clusters[turn % len(clusters)])
        turn += 1
        if not len(members):
            continue
        k = min(20, len(members) // 2)
        squared = ((x[members][:, None].astype(float) - x[members][None]) ** 2).sum(-1)
        mean = np.sort(squared + np.where(np.eye(len(members)), np.inf, 0), 1)[:, :k].mean(1) if k else np.zeros(1)
        picked.append(int(members[np.argmax(1 / (mean + 1e-5))]))
        labels[picked[-1]] = -1
    return picked


@pytest.mark.parametrize('seed', range(4))
def test_equals_the_reference(seed: int) -> None:
    pool = random_pool(seed, images=150, objects=150)
    object.__setattr__(pool, 'obj_image', np.arange(150))
    seeds = [5, 50, 51]
    result = TypiClust(normalize=False, max_clusters=8)(pool, 30, selected=seeds, seed=seed)
    labels = kmeans(pool.obj_feat, 8, seed=seed).labels
    assert result.images.tolist() == reference(pool.obj_feat, labels, seeds, 30)


def test_small_clusters_are_left_to_the_end() -> None:
    x = np.concatenate([np.linspace(0, 1, 7), [100.0, 100.1], np.linspace(200, 201, 6)])
    result = TypiClust(normalize=False, max_clusters=3)(pool_of(x), 15)
    assert set(result.images[-2:].tolist()) == {7, 8} and len(result) == 15
    assert not result.notes


def test_labelled_images_without_the_class_make_no_clusters_of_it() -> None:
    """60 objects of a rare class in six modes, six images for it, 400 labelled images that do not show it."""
    rng = np.random.default_rng(0)
    modes = 4 * rng.normal(size=(6, 8))
    rare = modes[np.arange(60) // 10] + 0.2 * rng.normal(size=(60, 8))
    pool = pool_of(np.concatenate([rare, rng.normal(size=(1000, 8))]), klass=np.arange(1060) < 60)
    result = TypiClust(level='class_object')(pool, 12, selected=range(100, 500))
    assert sorted(choice.row // 10 for choice in result.choices if choice.klass == 1) == list(range(6))


def test_all_clusters_small() -> None:
    result = TypiClust(normalize=False)(pool_of([0.0, 0.1, 5.0, 5.1]), 2)
    assert {choice.image // 2 for choice in result.choices} == {0, 1}
