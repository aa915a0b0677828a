"""Super-voxels: shortest paths against a slow reference, gaps, edges, determinism, quality by hand."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from scipy.spatial import cKDTree

from imbdense.core.points import (
    Importance,
    felzenszwalb_supervoxels,
    geodesic_supervoxels,
    grid_supervoxels,
    relabel,
    supervoxel_quality,
)
from imbdense.core.points.felzenszwalb import felzenszwalb_labels
from imbdense.core.points.geodesic import geodesic_labels
from imbdense.core.points.voxel_graph import voxel_graph


def two_planes(gap: float = 1.0, seed: int = 0) -> np.ndarray:
    """Two horizontal squares of 10 m, one above the other."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 10, (6000, 2))
    return np.c_[xy, np.where(np.arange(6000) < 3000, 0.0, gap)]


def slow_geodesic(nodes: int, edges: np.ndarray, weights: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Dijkstra with a heap of (distance, seed)."""
    near: dict[int, list[tuple[int, float]]] = {node: [] for node in range(nodes)}
    for (a, b), w in zip(edges.tolist(), weights.tolist()):
        near[a].append((b, w))
        near[b].append((a, w))
    heap, label = [(0.0, k, s) for k, s in enumerate(seeds.tolist())], np.full(nodes, -1)
    heapq.heapify(heap)
    while heap:
        distance, seed, node = heapq.heappop(heap)
        if label[node] < 0:
            label[node] = seed
            for other, w in near[node]:
                heapq.heappush(heap, (distance + w, seed, other))
    return label


def test_shortest_paths_equal_a_slow_search_and_ties_go_to_the_lower_seed() -> None:
    rng = np.random.default_rng(0)
    edges = np.unique(np.sort(rng.integers(0, 80, (300, 2)), 1), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    weights = rng.integers(1, 4, len(edges)).astype(float)  # many ties
    seeds = np.array([5, 40, 71])
    found = geodesic_labels(80, edges, weights, seeds)
    reached = slow_geodesic(80, edges, weights, seeds)
    assert np.array_equal(found[reached >= 0], reached[reached >= 0])
    assert (found[reached < 0] >= 3).all()


def test_components_without_a_seed_get_one_each() -> None:
    edges = np.array([[0, 1], [2, 3], [4, 5]])
    assert geodesic_labels(7, edges, np.ones(3), np.array([4])).tolist() == [1, 1, 2, 2, 0, 0, 3]
    assert geodesic_labels(0, np.zeros((0, 2), int), np.zeros(0), np.zeros(0, int)).tolist() == []
    with pytest.raises(ValueError, match='finite and > 0'):
        geodesic_labels(2, np.array([[0, 1]]), np.array([np.nan]), np.array([0]))


def test_edges_are_those_of_a_tree_search() -> None:
    xyz = np.random.default_rng(1).uniform(0, 4, (500, 3))
    graph = voxel_graph(xyz, 0.5)
    cells = np.unique(np.floor(xyz / 0.5), axis=0)
    wanted = {tuple(pair) for pair in np.sort(cKDTree(cells).query_pairs(1.8, output_type='ndarray'), 1).tolist()}
    assert {tuple(pair) for pair in np.sort(graph.edges, 1).tolist()} == wanted
    assert len(graph.edges) == len(wanted)


def test_normals_of_a_plane_and_of_a_wall() -> None:
    xyz = two_planes()
    graph = voxel_graph(xyz[:3000], 0.5)
    assert np.abs(graph.normals()[:, 2]).min() > 0.999
    wall = voxel_graph(xyz[:3000][:, [2, 0, 1]], 0.5)
    assert np.abs(wall.normals()[:, 0]).min() > 0.999


def test_no_part_crosses_a_gap() -> None:
    xyz = two_planes(gap=1.2)
    parts = geodesic_supervoxels(xyz, voxel_size=0.4, seed_size=5.0)
    lower, upper = set(parts[:3000].tolist()), set(parts[3000:].tolist())
    assert not lower & upper and 4 <= len(lower) <= 16
    assert grid_supervoxels(xyz, seed_size=5.0).max() == 3  # cubes know no gap


def test_parts_stop_at_a_colour_edge() -> None:
    xyz = two_planes()[:3000]
    left = xyz[:, 0] < 4.3  # no border of the grid of seeds
    colours = np.where(left[:, None], 0.1, 0.9) * np.ones(3)
    plain = supervoxel_quality(geodesic_supervoxels(xyz, voxel_size=0.25, seed_size=2.5), left.astype(int))
    aware = geodesic_supervoxels(xyz, colours, voxel_size=0.25, seed_size=2.5, importance=Importance(colour=5.0))
    seen = supervoxel_quality(aware, left.astype(int))
    assert seen.oracle_miou > 0.97 > plain.oracle_miou and seen.purity > plain.purity


def test_the_order_of_the_points_does_not_matter() -> None:
    xyz = two_planes()
    order = np.random.default_rng(3).permutation(len(xyz))
    for make in (
        lambda x: geodesic_supervoxels(x, voxel_size=0.4, seed_size=2.0),
        lambda x: felzenszwalb_supervoxels(x, voxel_size=0.4),
        lambda x: grid_supervoxels(x, seed_size=2.0),
    ):
        parts = make(xyz)
        assert np.array_equal(make(xyz[order]), parts[order]) and np.array_equal(make(xyz), parts)
        assert np.array_equal(np.unique(parts), np.arange(parts.max() + 1))


def test_felzenszwalb_by_hand() -> None:
    """0 -.1- 1 -.1- 2 -1.- 3 -.1- 4: the long edge stays while k / size is below it."""
    edges, weights = np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), np.array([0.1, 0.1, 1.0, 0.1])
    assert felzenszwalb_labels(5, edges, weights, scale=0.5, min_size=0).tolist() == [0, 0, 0, 1, 1]
    assert felzenszwalb_labels(5, edges, weights, scale=5.0, min_size=0).tolist() == [0] * 5
    assert felzenszwalb_labels(5, edges, weights, scale=0.5, min_size=3).tolist() == [0] * 5
    roof = np.concatenate([two_planes()[:3000], two_planes()[:3000][:, [2, 0, 1]]])  # a floor and a wall
    parts = felzenszwalb_supervoxels(roof, voxel_size=0.4)
    assert supervoxel_quality(parts, (np.arange(6000) >= 3000).astype(int)).oracle_miou > 0.95


def test_quality_by_hand() -> None:
    """Parts 0 = {a, a, b}, 1 = {b}, one point of b in no part, one ignored."""
    found = supervoxel_quality(np.array([0, 0, 0, 1, -1, 1]), np.array([0, 0, 1, 1, 1, -1]))
    assert found.number == 2 and found.mean_size == 2.5 and found.purity == pytest.approx((2 / 3 + 1) / 2)
    assert found.oracle_miou == pytest.approx((2 / 3 + 1 / 3) / 2) and found.uncovered == pytest.approx(1 / 5)
    assert np.isnan(supervoxel_quality(np.array([0, 0]), np.array([-1, -1])).purity)


def test_relabel_drops_small_parts() -> None:
    assert relabel(np.array([7, 7, 3, -1, 9, 9]), 2).tolist() == [0, 0, -1, -1, 1, 1]


def test_edges_of_the_input() -> None:
    empty = np.zeros((0, 3))
    assert len(geodesic_supervoxels(empty, empty, voxel_size=1, seed_size=2)) == 0
    assert len(felzenszwalb_supervoxels(empty, voxel_size=1)) == 0
    assert geodesic_supervoxels(np.zeros((1, 3)), voxel_size=1, seed_size=2).tolist() == [0]
    assert geodesic_supervoxels(np.zeros((5, 3)), voxel_size=1, seed_size=2).tolist() == [0] * 5
    far = np.array([[6.8e6, 6.8e6, 0.0], [6.8e6 + 0.2, 6.8e6, 0.0], [6.8e6 + 50, 6.8e6, 0.0]])
    assert geodesic_supervoxels(far, voxel_size=0.3, seed_size=3).tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match='NaN or infinite'):
        geodesic_supervoxels(np.array([[0, 0, np.nan]]), voxel_size=1, seed_size=2)
    with pytest.raises(ValueError, match='divide 8-bit'):
        geodesic_supervoxels(np.zeros((1, 3)), np.full((1, 3), 200.0), voxel_size=1, seed_size=2)
    with pytest.raises(ValueError, match='seed_size'):
        geodesic_supervoxels(np.zeros((1, 3)), voxel_size=1, seed_size=0.5)
