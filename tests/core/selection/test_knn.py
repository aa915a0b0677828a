"""Nearest neighbours against the full distance matrix, faiss, and the edges."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from imbdense.core.selection import knn
from imbdense.core.selection.knn import nearest_neighbours

needs_faiss = pytest.mark.skipif(importlib.util.find_spec('faiss') is None, reason='faiss is not installed')
BACKENDS = ['torch', pytest.param('faiss', marks=needs_faiss)]


def dense(x: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    """(Q, N) in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    if metric == 'l2':
        return ((x[:, None] - y[None]) ** 2).sum(-1)
    unit = [a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12) for a in (x, y)]
    return 1 - unit[0] @ unit[1].T


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('metric', ['cosine', 'l2'])
@pytest.mark.parametrize('own', [True, False])
def test_equals_the_sorted_distance_matrix(metric: str, backend: str, own: bool, monkeypatch) -> None:
    monkeypatch.setattr('imbdense.core.selection.neighbour_search.SCORE_NUMBERS', 4000)  # many blocks
    x = np.random.default_rng(0).normal(size=(500, 12)).astype(np.float32) + 3
    full = dense(x, x, metric)
    if own:
        np.fill_diagonal(full, np.inf)
    index, distance = nearest_neighbours(x, 7, metric=metric, exclude_self=own, backend=backend, chunk_rows=90)
    expected = np.argsort(full, axis=1, kind='stable')[:, :7]
    assert index.shape == (500, 7) and index.dtype == np.int64 and distance.dtype == np.float32
    assert np.array_equal(index, expected)
    assert np.allclose(distance, np.take_along_axis(full, expected, 1), atol=1e-4)


@pytest.mark.parametrize('backend', BACKENDS)
def test_queries_of_their_own(backend: str) -> None:
    rng = np.random.default_rng(1)
    x, q = rng.normal(size=(300, 6)).astype(np.float16), rng.normal(size=(40, 6))
    index, _ = nearest_neighbours(x, 3, queries=q, metric='l2', backend=backend)
    assert np.array_equal(index, np.argsort(dense(q.astype(np.float32), x, 'l2'), 1, kind='stable')[:, :3])
    with pytest.raises(ValueError, match='5 numbers per row'):
        nearest_neighbours(x, 3, queries=q[:, :5])


@pytest.mark.parametrize('backend', BACKENDS)
def test_duplicates_are_neighbours_but_the_row_itself_is_not(backend: str) -> None:
    x = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    index, distance = nearest_neighbours(x, 3, metric='l2', backend=backend)
    assert all(i not in row and set(row) == set(range(i // 4 * 4, i // 4 * 4 + 4)) - {i}
               for i, row in enumerate(index.tolist()))
    assert not distance.any() and (np.diff(index, axis=1) > 0).all()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(('rows', 'k', 'width'), [(0, 3, 0), (1, 3, 0), (2, 3, 1), (4, 3, 3), (4, 9, 3)])
def test_few_rows(rows: int, k: int, width: int, backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    index, distance = nearest_neighbours(x, k, backend=backend)
    assert index.shape == distance.shape == (rows, width)
    assert all(i not in row for i, row in enumerate(index.tolist()))


def test_a_row_of_zeros_is_at_distance_one() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.1], [1.0, 0.01]], dtype=np.float32)
    index, distance = nearest_neighbours(x, 3)
    assert distance[0].tolist() == [1.0, 1.0, 1.0] and index[0].tolist() == [1, 2, 3]
    assert index[1].tolist() == [3, 0, 2]


@needs_faiss
@pytest.mark.parametrize('metric', ['cosine', 'l2'])
def test_inverted_file_misses_little_and_measures_right(metric: str, monkeypatch) -> None:
    monkeypatch.setattr(knn, 'EXACT_ROWS', 2000)
    rng = np.random.default_rng(0)
    x = (rng.normal(scale=2, size=(80, 16))[rng.integers(80, size=6000)] + rng.normal(size=(6000, 16))).astype('f4')
    index, distance = nearest_neighbours(x, 10, metric=metric)
    exact, _ = nearest_neighbours(x, 10, metric=metric, backend='torch')
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(index.tolist(), exact.tolist())])
    assert recall > 0.95
    some = np.arange(0, 6000, 97)
    assert np.allclose(distance[some], np.take_along_axis(dense(x[some], x, metric), index[some], 1), atol=1e-4)
    assert not (index == np.arange(6000)[:, None]).any()


def test_result_does_not_depend_on_chunks_or_tensors() -> None:
    x = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    one = nearest_neighbours(x, 5)
    two = nearest_neighbours(torch.from_numpy(x).double(), 5, chunk_rows=7)
    assert np.array_equal(one[0], two[0]) and np.allclose(one[1], two[1], atol=1e-6)


def test_arguments_are_checked() -> None:
    x = np.zeros((3, 2), np.float32)
    for wrong in ({'k': 0}, {'metric': 'l1'}, {'backend': 'sklearn'}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            nearest_neighbours(x, **{'k': 1, **wrong})


def test_blocks_of_any_size(monkeypatch) -> None:
    """Scores are looked at eight by eight: 5 x 7 of them leave three over."""
    monkeypatch.setattr('imbdense.core.selection.neighbour_search.SCORE_NUMBERS', 35)
    x = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)
    full = dense(x, x, 'l2')
    np.fill_diagonal(full, np.inf)
    index, _ = nearest_neighbours(x, 2, metric='l2', backend='torch', chunk_rows=5)
    assert np.array_equal(index, np.argsort(full, axis=1, kind='stable')[:, :2])
