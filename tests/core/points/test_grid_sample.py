"""Grid sampling: voxels, the way back, labels, and what it refuses."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import torch
from torch import Tensor

from imbdense.core.points import grid_sample, majority_labels, rare_weights, rarest_labels
from imbdense.core.points.voxel_keys import voxel_keys


def cloud(count: int = 500, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Positions around 0, features, labels in [-1, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, 3, generator=generator) * 3, torch.rand(count, 2, generator=generator),
            torch.randint(-1, 4, (count,), generator=generator))


def voxel_lists(points: Tensor, size: float) -> dict[tuple[int, ...], list[int]]:
    """Slow reference: the points of every voxel, voxels sorted."""
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, point in enumerate(points.double()):
        found[tuple(torch.floor(point / size).long().tolist())].append(row)
    return dict(sorted(found.items()))


def vote(labels: list[int]) -> int:
    """Slow reference of the majority."""
    counts = Counter(label for label in labels if label >= 0)
    return min(counts, key=lambda label: (-counts[label], label)) if counts else -1


def test_hand_example() -> None:
    points = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.2, 0.3], [-0.1, 0.0, 0.0], [0.3, 0.3, 0.5]])
    labels = torch.tensor([2, 1, -1, -1])
    found = grid_sample(points, 1.0, features=torch.tensor([[1.0], [2.0], [7.0], [6.0]]), labels=labels,
                        keep_rare=torch.tensor([5, 9, 3]))
    assert found.coords.tolist() == [[-1, 0, 0], [0, 0, 0]]
    assert found.inverse.tolist() == [1, 1, 0, 1]
    assert found.counts.tolist() == [1, 3]
    assert found.features is not None and found.features.flatten().tolist() == [7.0, 3.0]
    torch.testing.assert_close(found.points[1], torch.tensor([1.3, 0.6, 0.9]) / 3)
    assert found.labels is not None and found.labels.tolist() == [-1, 1]  # tie of 1 and 2: the smaller; -1 is silent
    assert found.rarest is not None and found.rarest.tolist() == [-1, 2]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_equals_the_slow_reference(dtype: torch.dtype) -> None:
    points, features, labels = cloud()
    points = points.to(dtype)
    found = grid_sample(points, 0.7, features=features, labels=labels)
    wanted = voxel_lists(points, 0.7)
    assert [tuple(row) for row in found.coords.tolist()] == list(wanted)
    assert found.counts.tolist() == [len(rows) for rows in wanted.values()]
    votes = [vote(labels[rows].tolist()) for rows in wanted.values()]
    assert found.labels is not None and found.labels.tolist() == votes
    for voxel, rows in enumerate(wanted.values()):
        assert (found.inverse[rows] == voxel).all()
        torch.testing.assert_close(found.points[voxel], points[rows].mean(0))
    assert found.points.dtype == dtype


def test_first_and_random_representatives() -> None:
    points, features, _ = cloud()
    wanted = voxel_lists(points, 1.5)
    first = grid_sample(points, 1.5, features=features, mode='first')
    assert first.index is not None and first.index.tolist() == [min(rows) for rows in wanted.values()]
    assert torch.equal(first.points, points[first.index])
    draws = torch.stack([grid_sample(points, 1.5, mode='random', seed=seed).index for seed in range(40)])  # type: ignore[misc]
    again = grid_sample(points, 1.5, mode='random', seed=7).index
    assert again is not None and torch.equal(draws[7], again)
    for voxel, rows in enumerate(wanted.values()):
        assert set(draws[:, voxel].tolist()) <= set(rows)
        assert len(rows) == 1 or len(set(draws[:, voxel].tolist())) > 1


def test_order_of_the_points_does_not_matter() -> None:
    points, _, labels = cloud()
    shuffle = torch.randperm(len(points), generator=torch.Generator().manual_seed(3))
    a, b = grid_sample(points, 0.5, labels=labels), grid_sample(points[shuffle], 0.5, labels=labels[shuffle])
    assert torch.equal(a.coords, b.coords) and torch.equal(a.inverse[shuffle], b.inverse)
    assert a.labels is not None and b.labels is not None and torch.equal(a.labels, b.labels)
    torch.testing.assert_close(a.points, b.points)


def test_large_boxes_sort_as_int64_to_the_same() -> None:
    points, _, _ = cloud(200)
    points[0] += 5000.0  # 1e12 cells of 0.5 m
    found = grid_sample(points, 0.5)
    assert [tuple(row) for row in found.coords.tolist()] == list(voxel_lists(points, 0.5))


def test_rarest_label_and_its_weight() -> None:
    labels, inverse = torch.tensor([0, 0, 0, 2, -1, 1, 1, -1]), torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    counts = torch.tensor([900, 100, 1])
    assert majority_labels(labels, inverse, 3).tolist() == [0, 1, -1]
    rarest = rarest_labels(labels, inverse, 3, counts)
    assert rarest.tolist() == [2, 1, -1]
    weights = rare_weights(rarest, counts, exponent=0.5)
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64) / 1.1)
    assert rare_weights(torch.tensor([-1, -1]), counts).tolist() == [0.0, 0.0]
    tie = rarest_labels(torch.tensor([2, 1]), torch.tensor([0, 0]), 1, torch.tensor([9, 4, 4]))
    assert tie.tolist() == [1]


@pytest.mark.parametrize('mode', ['first', 'mean', 'random'])
def test_empty_cloud(mode: str) -> None:
    found = grid_sample(torch.empty(0, 3), 0.5, features=torch.empty(0, 4), labels=torch.empty(0, dtype=torch.int64),
                        mode=mode, keep_rare=torch.tensor([1, 2]))
    assert len(found) == 0 and found.coords.shape == (0, 3) and found.inverse.shape == (0,)
    assert found.features is not None and found.features.shape == (0, 4)
    assert found.labels is not None and found.labels.shape == (0,) and found.points.shape == (0, 3)
    no_features = grid_sample(torch.rand(5, 3), 2.0, features=torch.empty(5, 0), mode=mode).features
    assert no_features is not None and no_features.shape == (1, 0)


def test_all_ignored_and_one_voxel() -> None:
    found = grid_sample(torch.rand(9, 3), 2.0, labels=torch.full((9,), -1))
    assert found.counts.tolist() == [9] and found.labels is not None and found.labels.tolist() == [-1]


@pytest.mark.parametrize(('change', 'match'), [
    ({'points': torch.tensor([[0.0, 0.0, 0.0], [0.0, float('nan'), 1.0]])}, 'first is point 1'),
    ({'points': torch.tensor([[0.0, 0.0, float('inf')]]), 'labels': None}, 'NaN or infinite'),
    ({'points': torch.tensor([[1e30, 0.0, 0.0], [0.0, 0.0, 0.0]])}, r'2\^62 voxels away'),
    ({'points': torch.tensor([[0.0, 0.0, 0.0], [1e8, 1e8, 1e8]]), 'size': 1e-3}, r'more than 2\^62'),
    ({'size': 0.0}, 'size must be'), ({'size': float('nan')}, 'size must be'),
    ({'mode': 'median'}, "'first', 'mean', 'random'"),
    ({'points': torch.zeros(2, 4)}, r'\(N, 3\) float'), ({'points': torch.zeros(2, 3).long()}, r'\(N, 3\) float'),
    ({'labels': torch.zeros(3, dtype=torch.int64)}, r'one row per point \(2\)'),
    ({'features': torch.zeros(2)}, '2 dimensions'),
    ({'labels': torch.tensor([-2, 0])}, 'hold -2'),
    ({'labels': None, 'keep_rare': torch.tensor([1])}, 'keep_rare needs labels'),
    ({'labels': torch.tensor([0, 3]), 'keep_rare': torch.tensor([1, 1])}, 'class 3, but keep_rare has 2'),
])
def test_bad_input_is_named(change: dict, match: str) -> None:
    given = {'points': torch.zeros(2, 3), 'size': 1.0, 'labels': torch.tensor([0, 1]), **change}
    with pytest.raises(ValueError, match=match):
        grid_sample(given.pop('points'), given.pop('size'), **given)


def test_keys_keep_the_lexicographic_order_and_give_back_coordinates() -> None:
    coords = torch.randint(-50, 50, (300, 4), generator=torch.Generator().manual_seed(0))
    numbered = voxel_keys(coords, margin=2)
    order = sorted(range(300), key=lambda row: coords[row].tolist())
    assert torch.equal(coords[torch.argsort(numbered.keys, stable=True)], coords[order])
    assert torch.equal(numbered.coordinates(numbered.keys), coords)
    assert torch.equal(voxel_keys(coords.unbind(1), margin=2).keys, numbered.keys)
