"""The exact optimum: published hand examples, a brute-force search, and a real optimisation that must end there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from imbdense.core.metrics.class_scatter import ClassScatter
from imbdense.core.metrics.collapse_targets import collapse_target
from imbdense.core.metrics.neural_collapse import neural_collapse


def test_hand_example_threshold() -> None:
    both = collapse_target([100, 1], 0.1, 0.1)
    assert both.weight.tolist() == [0, 0] and (both.survival <= 1).all()
    assert both.survival == pytest.approx(np.array([100, 1]) / 102.01)
    one = collapse_target([100, 1], 0.01, 0.01)
    assert one.weight == pytest.approx([8.99, 0.0]) and one.mean[1] == 0
    assert one.survival[0] > 1 >= one.survival[1]


@pytest.mark.parametrize(
    ('counts', 'lambda_w', 'lambda_h', 'expected'),
    [
        ((40, 20, 8, 4), 5e-3, 1e-4, (0.8872, 0.6253, 0.3928, 0.2756)),
        ((60, 20, 2), 0.02, 0.01, (4.6572, 2.3423, 0.1800)),
        ((40, 20, 8), (2e-3, 2e-3), 1e-3, (7.277, 4.551, 2.429)),
    ],
)
def test_published_lengths(
    counts: tuple[int, ...], lambda_w: float | tuple[float, float], lambda_h: float, expected: tuple[float, ...]
) -> None:
    assert collapse_target(counts, lambda_w, lambda_h).weight == pytest.approx(expected, abs=6e-4)


def test_features_and_products_follow_from_the_weights() -> None:
    target = collapse_target([40, 20, 8, 4], 5e-3, 1e-4)
    scale = 72 * 1e-4
    assert target.product == pytest.approx(target.weight / (target.weight + scale))
    assert target.mean == pytest.approx(target.weight / (target.weight + scale) ** 2)
    ratio = np.sqrt(np.array([40, 20, 8, 4]) * 1e-4 / 5e-3)
    assert np.sqrt(target.weight) == pytest.approx(ratio * np.sqrt(target.mean))


@pytest.mark.parametrize('depth', [1, 2, 3, 5])
@pytest.mark.parametrize('decay', [3e-4, 2e-3, 1e-2])
def test_against_a_brute_force_search(depth: int, decay: float) -> None:
    counts = np.array([300.0, 60.0, 7.0, 1.0])
    target = collapse_target(counts, [decay] * depth if depth > 1 else decay, decay)
    total, x = counts.sum(), np.concatenate([[0.0], np.geomspace(1e-9, 1e4, 400_001)])
    for count, weight in zip(counts, target.weight):
        cost = count / (2 * total) * total * decay / (x + total * decay) + depth / 2 * decay * x ** (1 / depth)
        best = x[cost.argmin()]
        assert weight == pytest.approx(best, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize(('depth', 'limit'), [(1, 1.0), (2, 0.5), (3, 0.529)])
def test_threshold_constant(depth: int, limit: float) -> None:
    """b of a class just at survival 1 is the published constant."""
    counts = [50.0, 10.0]
    survival = collapse_target(counts, [1e-3] * depth, 1e-3).survival
    b = depth * 60 * (60 * 1e-3 * 1e-3**depth) ** (1 / depth) / np.array(counts)
    assert survival * b == pytest.approx(limit, abs=5e-4)


def test_a_class_without_samples_vanishes_and_bad_input_is_named() -> None:
    target = collapse_target([10, 0], 1e-3, 1e-3)
    assert target.weight[0] > 0 and target.weight[1] == target.mean[1] == target.survival[1] == 0
    with pytest.raises(ValueError, match='sum to zero'):
        collapse_target([0, 0], 1e-3, 1e-3)
    with pytest.raises(ValueError, match='lambda_h'):
        collapse_target([1, 2], 1e-3, 0.0)
    with pytest.raises(ValueError, match='-1'):
        collapse_target([1, -1], 1e-3, 1e-3)


def optimise(counts: tuple[int, ...], decays: tuple[float, ...], lambda_h: float, seed: int) -> tuple[Tensor, Tensor]:
    """(W, H) of the unconstrained feature model from a random start, by L-BFGS to machine precision."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    onehot = torch.nn.functional.one_hot(labels).double().T
    total, classes, dim = len(labels), len(counts), len(counts) + 2
    shapes = [(dim, dim)] * (len(decays) - 1) + [(classes, dim)]
    layers = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    features = torch.randn(dim, total, generator=generator, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [*layers, features], max_iter=20_000, max_eval=40_000, tolerance_grad=1e-10, tolerance_change=1e-16,
        history_size=50, line_search_fn='strong_wolfe',
    )  # fmt: skip

    def product() -> Tensor:
        weight = layers[0]
        for layer in layers[1:]:
            weight = layer @ weight
        return weight

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * (product() @ features - onehot).square().sum() / total + 0.5 * lambda_h * features.square().sum()
        for layer, decay in zip(layers, decays):
            loss = loss + 0.5 * decay * layer.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return product().detach(), features.detach()


@pytest.mark.parametrize(
    ('counts', 'decays', 'lambda_h'),
    [
        ((40, 20, 8, 4), (5e-3,), 1e-4),
        ((60, 20, 2), (0.02,), 0.01),
        ((40, 20, 8), (2e-3, 2e-3), 1e-3),
        ((100, 1), (0.01,), 0.01),
    ],
)
def test_training_unconstrained_features_ends_in_the_target(
    counts: tuple[int, ...], decays: tuple[float, ...], lambda_h: float
) -> None:
    weight, features = optimise(counts, decays, lambda_h, seed=0)
    target = collapse_target(counts, decays, lambda_h)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    stats = ClassScatter(len(counts), weight.shape[1])
    stats.update(features.T, labels)
    alive = target.weight > 0
    lengths = weight.square().sum(1).numpy()
    assert lengths[alive] == pytest.approx(target.weight[alive], rel=0.01)
    assert np.sqrt(lengths[~alive]) == pytest.approx(0, abs=1e-4)
    assert stats.means.norm(dim=1).numpy()[~alive] == pytest.approx(0, abs=1e-4)
    grams = {
        'w': (weight @ weight.T, target.weight), 'h': (stats.means @ stats.means.T, target.mean),
        'wh': (weight @ stats.means.T, target.product),
    }  # fmt: skip
    for name, (gram, diagonal) in grams.items():
        ideal = torch.from_numpy(np.diag(diagonal))
        assert float((gram / gram.norm() - ideal / ideal.norm()).norm()) < 1e-3, name
    assert float(stats.scatter.diag().sum()) < 1e-6 * float(features.square().sum())
    if len(decays) == 1 and alive.all():
        found = neural_collapse(stats, weight, weight_decay=(decays[0], lambda_h)).scalars
        print({key: round(value, 6) for key, value in found.items()})
        assert max(found['nc2_gof_w'], found['nc2_gof_h'], found['nc3_gof'], found['nc2_offdiag_w']) < 1e-3
        assert found['nc2_etf_w'] > 0.1 and found['nc2_of_w'] > 0.1
