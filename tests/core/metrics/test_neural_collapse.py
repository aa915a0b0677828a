"""Neural collapse: perfect geometries give 0, invariances, a slow reference, edges, two ranks."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from imbdense.core.metrics.class_scatter import ClassScatter
from imbdense.core.metrics.neural_collapse import (
    count_disagreements,
    neural_collapse,
    smallest_angle,
    within_class_variation,
)
from imbdense.core.representation import simplex_etf
from tests.helpers.two_ranks import run_two_ranks

CLASSES, DIM = 5, 8
COUNTS = (400, 120, 40, 12, 4)


def samples(dim: int = DIM, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Long-tailed clusters far from the origin, shuffled: float64 features (P, d) and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor(COUNTS))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = 3 * torch.randn(CLASSES, dim, generator=generator, dtype=torch.float64) + 10
    noise = torch.randn(len(labels), dim, generator=generator, dtype=torch.float64)
    return centres[labels] + noise, labels


def scatter_of(features: Tensor, labels: Tensor, chunks: int = 1) -> ClassScatter:
    stats = ClassScatter(CLASSES, features.shape[1])
    for part, classes in zip(features.chunk(chunks), labels.chunk(chunks)):
        stats.update(part, classes)
    return stats


def test_statistics_against_a_slow_reference() -> None:
    features, labels = samples()
    labels[:30] = -1
    stats = scatter_of(features, labels, chunks=3)
    slow = torch.zeros(DIM, DIM, dtype=torch.float64)
    for k in range(CLASSES):
        own = features[labels == k]
        assert stats.counts[k] == len(own) and torch.allclose(stats.means[k], own.mean(0), atol=1e-12)
        slow += (own - own.mean(0)).T @ (own - own.mean(0))
    assert torch.allclose(stats.scatter, slow, rtol=1e-12)
    assert stats.traces.sum().item() == pytest.approx(slow.trace().item(), rel=1e-12)


def test_nc1_against_numpy() -> None:
    features, labels = samples()
    stats = scatter_of(features, labels)
    x, y = features.numpy(), labels.numpy()
    means = np.stack([x[y == k].mean(0) for k in range(CLASSES)])
    within = sum(np.cov(x[y == k].T, bias=True) * (y == k).sum() for k in range(CLASSES)) / len(y)
    for center in (True, False):
        spread = means - (x.mean(0) if center else 0)
        between = spread.T @ spread / CLASSES
        nc1, light = within_class_variation(stats, center=center)
        assert nc1 == pytest.approx(np.trace(within @ np.linalg.pinv(between, rcond=1e-6)) / CLASSES, rel=1e-8)
        assert light == pytest.approx(np.trace(within) / np.trace(between), rel=1e-10)


def measures(stats: ClassScatter, weight: Tensor) -> Tensor:
    return torch.tensor(list(neural_collapse(stats, weight, weight_decay=(1e-4, 1e-4)).scalars.values()))


def test_order_chunks_and_rotation_do_not_matter() -> None:
    features, labels = samples()
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    reference = measures(scatter_of(features, labels), weight)
    assert torch.isfinite(reference).all()
    order = torch.randperm(len(labels), generator=generator)
    for chunks in (1, 7, len(labels)):
        for index in (torch.arange(len(labels)), order):
            found = measures(scatter_of(features[index], labels[index], chunks), weight)
            assert (found - reference).abs().max() < 1e-10
    rotation = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator, dtype=torch.float64)).Q
    assert (measures(scatter_of(features @ rotation, labels), weight @ rotation) - reference).abs().max() < 1e-10


def _on_rank(rank_of_sample: str) -> list[float]:
    """Statistics of every second sample, merged over both ranks in rank order."""
    import torch.distributed as dist

    from imbdense.utils.distributed import gather_objects

    features, labels = samples()
    stats = scatter_of(features[dist.get_rank() :: 2], labels[dist.get_rank() :: 2])
    parts = gather_objects(stats)
    for part in parts[1:]:
        parts[0].merge(part)
    return measures(parts[0], torch.eye(CLASSES, DIM, dtype=torch.float64)).tolist()


def test_two_ranks_equal_one() -> None:
    single = measures(scatter_of(*samples()), torch.eye(CLASSES, DIM, dtype=torch.float64))
    first, second = run_two_ranks(_on_rank, '')
    assert first == second and (torch.tensor(first) - single).abs().max() < 1e-10


def test_a_perfect_simplex_is_zero_and_not_orthogonal() -> None:
    frame = simplex_etf(CLASSES, DIM).T
    labels = torch.arange(CLASSES).repeat(6)
    stats = scatter_of(3 * frame[labels] + 2, labels)
    found = neural_collapse(stats, 0.5 * frame).scalars
    for name in ('nc1', 'nc1_light', 'nc2_etf_w', 'nc2_etf_h', 'nc3_etf'):
        assert found[name] == pytest.approx(0, abs=1e-7), name
    assert found['tail_angle'] == pytest.approx(math.degrees(math.acos(-1 / (CLASSES - 1))), abs=1e-6)
    assert found['nc2_of_w'] > 0.1 and found['nc2_offdiag_w'] > 0.1


def test_orthogonal_vectors_of_any_length() -> None:
    weight = torch.diag(torch.tensor([4.0, 2.0, 1.0])).double()
    stats = ClassScatter(3, 3)
    stats.update(weight[torch.arange(3).repeat(2)], torch.arange(3).repeat(2))
    found = neural_collapse(stats, weight, tail=[1, 2], head=[0]).scalars
    assert found['nc2_offdiag_w'] == found['nc2_offdiag_h'] == 0 and found['nc2_of_w'] > 0.1
    assert found['tail_angle'] == pytest.approx(90) and found['tail_head_norm_w'] == pytest.approx(1.5 / 4)
    equal = neural_collapse(stats, torch.eye(3)).scalars
    assert equal['nc2_of_w'] == pytest.approx(0, abs=1e-12)


def test_merged_and_vanished_vectors_of_rare_classes_are_seen() -> None:
    merged = torch.tensor([[1.0, 0, 0], [1, 1e-9, 0], [0, 0, 1]]).double()
    assert smallest_angle(merged) == pytest.approx(5.73e-8, rel=1e-2)
    assert smallest_angle(torch.tensor([[1.0, 0], [0, 0]])) == 0
    assert math.isnan(smallest_angle(torch.ones(1, 3)))
    assert smallest_angle(torch.tensor([[1.0, 0], [-1.0, 0]])) == pytest.approx(180)


def test_survival_and_gof_need_weight_decay() -> None:
    stats = scatter_of(*samples())
    weight = torch.eye(CLASSES, DIM, dtype=torch.float64)
    without, with_decay = neural_collapse(stats, weight), neural_collapse(stats, weight, weight_decay=(1e-2, 1e-3))
    assert without.survival is None and not [key for key in without.scalars if 'gof' in key]
    total = sum(COUNTS)
    assert with_decay.survival == pytest.approx([n / (total**2 * 1e-5) for n in COUNTS])
    assert set(with_decay.scalars) - set(without.scalars) == {'nc2_gof_w', 'nc2_gof_h', 'nc3_gof'}


def test_nc4() -> None:
    means = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
    features = torch.tensor([[0.1, 0.0], [1.9, 0.0], [0.9, 0.0], [1.9, 0.0]])
    labels, counts = torch.tensor([0, 1, 0, -1]), torch.tensor([2, 1, 0])
    agree = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0]])  # the class that was not seen would win everywhere
    bias = torch.tensor([0.0, -1.0, 0.0])
    assert count_disagreements(features, labels, means, counts, agree, bias) == (0, 3)
    assert count_disagreements(features, labels, means, counts, agree, -5 * bias) == (2, 3)
    assert count_disagreements(features[:0], labels[:0], means, counts, agree) == (0, 0)


def test_wide_features_are_projected_and_flagged() -> None:
    features, labels = samples(dim=600)
    stats = scatter_of(features, labels)
    assert stats.projected and stats.scatter.shape == (256, 256)
    exact = ClassScatter.__new__(ClassScatter)  # the same without projection
    exact.__dict__.update(stats.__dict__)
    exact.projection = None
    centred = features - stats.means[labels]
    exact.scatter = centred.T @ centred
    found, reference = within_class_variation(stats), within_class_variation(exact)
    assert found[1] == reference[1]  # traces are exact
    # Round noise keeps its size in each of the 256 directions while the distances of the means shrink.
    assert found[0] == pytest.approx(reference[0] * 600 / 256, rel=0.1)
    again = scatter_of(features, labels, chunks=5)
    assert within_class_variation(again)[0] == pytest.approx(found[0], rel=1e-10)
    assert neural_collapse(stats, torch.randn(CLASSES, 600)).projected


def test_single_samples_absent_classes_and_nothing_at_all() -> None:
    features, labels = samples()
    labels[labels == 3] = 4  # class 3 is absent
    keep = (labels != 2) | (torch.cumsum(labels == 2, 0) == 1)  # class 2 has one sample
    stats = scatter_of(features[keep], labels[keep])
    found = neural_collapse(stats, torch.randn(CLASSES, DIM), weight_decay=(1e-5, 1e-5))
    assert found.excluded == [2, 3] and found.counts[2] == 1 and math.isnan(found.mean_norm[3])
    assert all(math.isfinite(value) for value in found.scalars.values())
    keep &= labels != 2
    without = scatter_of(features[keep], labels[keep])
    assert within_class_variation(stats) == pytest.approx(within_class_variation(without))
    with pytest.warns(UserWarning, match='two classes'):
        alone = neural_collapse(scatter_of(features[labels == 0], labels[labels == 0]), torch.randn(CLASSES, DIM))
    assert math.isnan(alone.scalars['nc1']) and math.isnan(alone.scalars['nc3_etf'])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        nothing = neural_collapse(ClassScatter(CLASSES, DIM), torch.zeros(CLASSES, DIM), weight_decay=(1e-4, 1e-4))
    assert all(math.isnan(value) for value in nothing.scalars.values()) and nothing.survival is None


def test_wrong_input_is_named() -> None:
    stats = ClassScatter(CLASSES, DIM)
    with pytest.raises(ValueError, match=r'\(P, 8\)'):
        stats.update(torch.randn(3, 4), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match='NaN'):
        stats.update(torch.full((1, DIM), math.nan), torch.zeros(1, dtype=torch.long))
    stats.update(torch.full((1, DIM), math.nan), torch.tensor([-1]))
    with pytest.raises(ValueError, match='can not merge'):
        stats.merge(ClassScatter(CLASSES, DIM + 1))
    with pytest.raises(ValueError, match='weight must be'):
        neural_collapse(stats, torch.randn(2, DIM))
