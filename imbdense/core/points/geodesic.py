"""Parts of a graph, each grown from a seed along shortest paths: the routine behind super-voxels and superpixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

TIE = 1e-12
"""Seed k starts at the distance k * TIE, so that a node as near to two seeds goes to the lower one."""


def geodesic_labels(
    num_nodes: int, edges: NDArray[np.integer[Any]], weights: NDArray[np.floating[Any]], seeds: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Label each node with the seed that is nearest along the edges.

    A component of the graph without a seed gets one, its lowest node; these come after the given seeds. No label
    crosses a gap, therefore. Deterministic; ties go to the lower seed.

    Args:
        num_nodes: M >= 0.
        edges: (E, 2) pairs of nodes, each once, in either direction.
        weights: (E,) > 0, length of each edge.
        seeds: (K,) different nodes, in the order of the labels.

    Returns:
        (M,) int64: 0..K-1 for the given seeds, then one for each component that had none.

    Cost O((M + E) log M), one run of Dijkstra for all seeds together.

    Raises:
        ValueError: a weight that is not finite and positive.
    """
    weights = np.asarray(weights, np.float64)
    if weights.size and not (np.isfinite(weights).all() and weights.min() > 0):
        raise ValueError('geodesic_labels: the weights must be finite and > 0; is there a NaN in colours or normals?')
    if num_nodes == 0:
        return np.zeros(0, np.int64)
    seeds = _seeds_for_all(num_nodes, edges, np.asarray(seeds, np.int64))
    source = num_nodes  # one more node, from which every seed can be reached
    start = TIE * (1.0 + np.arange(len(seeds)))
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.full(len(seeds), source)])
    columns = np.concatenate([edges[:, 1], edges[:, 0], seeds])
    values = np.concatenate([weights, weights, start])
    graph = coo_matrix((values, (rows, columns)), shape=(num_nodes + 1, num_nodes + 1)).tocsr()
    _, before = dijkstra(graph, indices=source, return_predecessors=True)
    return _labels_of_tree(before[:num_nodes].astype(np.int64), seeds, source)


def components(num_nodes: int, edges: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(M,) number of the connected component of each node."""
    ones = np.ones(len(edges), np.int8)
    graph = coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(num_nodes, num_nodes))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _seeds_for_all(
    num_nodes: int, edges: NDArray[np.integer[Any]], seeds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The seeds, and the lowest node of every component without one."""
    component = components(num_nodes, edges)
    seeded = np.zeros(int(component.max()) + 1, bool)
    seeded[component[seeds]] = True
    _, lowest = np.unique(component, return_index=True)
    return np.concatenate([seeds, lowest[~seeded]])


def _labels_of_tree(before: NDArray[np.int64], seeds: NDArray[np.int64], source: int) -> NDArray[np.int64]:
    """Follow the tree of shortest paths up to the seeds; each step doubles the length of the jumps."""
    roots = np.flatnonzero(before == source)
    parent = before.copy()
    parent[roots] = roots
    while True:
        above = parent[parent]
        if np.array_equal(above, parent):
            break
        parent = above
    label = np.full(len(before), -1, np.int64)
    label[seeds] = np.arange(len(seeds))
    return label[parent]
