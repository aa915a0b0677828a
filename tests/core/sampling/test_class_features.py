"""Features kept per class: the queue, the Gaussians, and what both share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist

from imbdense.core.sampling import FeatureGaussians, FeatureQueue
from tests.helpers.two_ranks import run_two_ranks

MAKERS: dict[str, Any] = {'queue': lambda: FeatureQueue(4, 3, 5), 'gaussians': lambda: FeatureGaussians(4, 3)}
each = pytest.mark.parametrize('make', MAKERS.values(), ids=MAKERS.keys())


def steps(number: int = 12, most: int = 9, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Features of three channels; labels 0..4 of four classes, the last one is background, and -1."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(0, most, (number,), generator=generator).tolist()
    return [(5 + torch.randn(n, 3, generator=generator), torch.randint(-1, 5, (n,), generator=generator))
            for n in sizes]  # fmt: skip


def test_draws_of_the_queue_are_features_of_their_class_and_reach_all_of_them() -> None:
    queue = FeatureQueue(3, 2, 4)
    queue.update(torch.tensor([[0.0, 1], [0, 2], [0, 3], [2, 1]]), torch.tensor([0, 0, 0, 2]))
    drawn = queue.draw(torch.ones(3), 50, 4, torch.Generator().manual_seed(0))
    assert drawn.features.shape == (200, 2) and drawn.known.all()
    assert set(drawn.labels.tolist()) == {0, 2}, 'class 1 has an empty queue'
    assert torch.equal(drawn.features[:, 0], drawn.labels.float())
    assert set(drawn.features[drawn.labels == 0][:, 1].tolist()) == {1, 2, 3}


@each
def test_classes_are_drawn_in_proportion_to_the_preference_among_those_available(make: Any) -> None:
    source = make()
    source.update(torch.randn(6, 3), torch.tensor([0, 0, 1, 1, 3, 3]))
    drawn = source.draw(torch.tensor([1.0, 3, 100, 6]), 20000, 1, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn.labels, minlength=4) / 20000
    assert share.tolist() == pytest.approx([0.1, 0.3, 0.0, 0.6], abs=0.015)


@each
def test_nothing_to_draw_has_the_same_shapes(make: Any) -> None:
    drawn = make().draw(torch.ones(4), 8, 4)
    assert drawn.features.shape == (32, 3) and not drawn.known.any() and (drawn.features == 0).all()
    source = make()
    source.update(torch.randn(2, 3), torch.tensor([1, 1]))
    assert not source.draw(torch.tensor([1.0, 0, 1, 1]), 8, 4).known.any(), 'the only class is not wanted'


@each
def test_the_same_seed_draws_the_same(make: Any) -> None:
    source = make()
    source.update(torch.randn(8, 3), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    torch.manual_seed(3)
    first = source.draw(torch.ones(4), 8, 4)
    torch.manual_seed(3)
    again = source.draw(torch.ones(4), 8, 4)
    assert torch.equal(first.features, again.features) and torch.equal(first.labels, again.labels)
    assert not torch.equal(first.features, source.draw(torch.ones(4), 8, 4).features)


@each
def test_a_resumed_one_goes_on_the_same(make: Any) -> None:
    whole, before, after = make(), make(), make()
    data = steps()
    for features, labels in data:
        whole.update(features, labels)
    for features, labels in data[:6]:
        before.update(features, labels)
    after.load_state_dict(before.state_dict())
    for features, labels in data[6:]:
        after.update(features, labels)
    assert all(torch.equal(value, after.state_dict()[key]) for key, value in whole.state_dict().items())


@each
def test_frozen_in_eval_mode_and_without_a_graph(make: Any) -> None:
    source = make()
    features = torch.randn(4, 3, requires_grad=True)
    source.eval().update(features, torch.tensor([0, 0, 1, 1]))
    assert not source.available().any()
    source.train().update(features * 2, torch.tensor([0, 0, 1, 1]))
    drawn = source.draw(torch.ones(4), 2, 2)
    assert source.available().tolist() == [True, True, False, False] and not drawn.features.requires_grad


@each
def test_half_precision_enters_as_float_and_overflow_leaves_nothing(make: Any) -> None:
    source, exact = make(), make()
    features, labels = torch.randn(6, 3).bfloat16(), torch.tensor([0, 0, 1, 1, 2, 2])
    exact.update(features.float(), labels)
    bad = torch.cat([features, torch.tensor([[float('inf'), 0, 0], [0, float('nan'), 0]])])
    source.update(bad, torch.cat([labels, torch.tensor([0, 3])]))
    for key, value in exact.state_dict().items():
        if key != 'memory':
            assert torch.equal(value, source.state_dict()[key])
    drawn = source.draw(torch.ones(4), 100, 2)
    assert drawn.features.dtype == torch.float32 and torch.isfinite(drawn.features).all()
    assert 3 not in drawn.labels.tolist()


@each
def test_shapes_that_do_not_fit_are_named(make: Any) -> None:
    with pytest.raises(ValueError, match=r'expected features \(P, 3\) and labels \(P,\).*\(2, 4\)'):
        make().update(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(('maker', 'options', 'message'), [
    (FeatureQueue, {'num_classes': 0}, 'num_classes'),
    (FeatureGaussians, {'momentum': 1.5}, 'momentum'), (FeatureGaussians, {'channels': 0}, 'channels'),
])  # fmt: skip
def test_bad_arguments_are_named(maker: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f'{maker.__name__}: {message}'):
        maker(**{'num_classes': 2, 'channels': 2, **options})


def test_gaussians_by_hand() -> None:
    """Class 0: {1, 3} -> mean 2, variance 2; then {4, 8} with momentum .75 -> mean 3, variance 3.5."""
    source = FeatureGaussians(2, 1, momentum=0.75)
    source.update(torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1]))
    assert source.mean.flatten().tolist() == [2, 0] and source.variance.flatten().tolist() == [2, 0]
    assert source.available().tolist() == [True, False], 'one feature has no variance'
    source.update(torch.tensor([[4.0], [8.0]]), torch.tensor([0, 0]))
    assert source.mean[0].item() == pytest.approx(3.0) and source.variance[0].item() == pytest.approx(3.5)


def test_gaussians_equal_a_loop_over_the_classes() -> None:
    source, mean, variance = FeatureGaussians(4, 3), {}, {}
    for features, labels in steps(30):
        source.update(features, labels)
        for klass in range(4):
            own = features[labels == klass]
            if len(own) >= 2:
                m, v = own.mean(0), own.var(0)
                mean[klass] = 0.9 * mean[klass] + 0.1 * m if klass in mean else m
                variance[klass] = 0.9 * variance[klass] + 0.1 * v if klass in variance else v
    for klass in range(4):
        assert torch.allclose(source.mean[klass], mean[klass], atol=1e-5)
        assert torch.allclose(source.variance[klass], variance[klass], atol=1e-5)


def test_draws_of_the_gaussians_have_their_mean_and_variance() -> None:
    source = FeatureGaussians(2, 3)
    source.update(torch.randn(50, 3) * torch.tensor([1.0, 2, 3]) + 4, torch.ones(50, dtype=torch.int64))
    drawn = source.draw(torch.ones(2), 1, 20000, torch.Generator().manual_seed(0)).features
    assert torch.allclose(drawn.mean(0), source.mean[1], atol=0.1)
    assert torch.allclose(drawn.var(0), source.variance[1], rtol=0.05)


def test_a_large_mean_does_not_swallow_the_variance() -> None:
    """Float32 sums of squares of 10000 are off by more than the variance; differences from the running mean are not."""
    source = FeatureGaussians(1, 1, momentum=0.0)
    for _ in range(3):
        source.update(torch.tensor([[10000.0], [10001], [10002], [10003]]), torch.zeros(4, dtype=torch.int64))
    assert source.variance.item() == pytest.approx(5 / 3, rel=1e-3)


def _gather_on_rank() -> tuple[dict[str, Any], dict[str, Any]]:
    source, queue = FeatureGaussians(4, 3), FeatureQueue(4, 3, 5)
    for step, (features, labels) in enumerate(steps(10)):
        own = slice(dist.get_rank(), None, 2) if step != 4 else slice(0, None if dist.get_rank() == 0 else 0)
        source.update(features[own], labels[own])
        queue.update(features[own], labels[own])
    return source.state_dict(), queue.state_dict()


def test_two_ranks_have_the_gaussians_of_the_joined_batch_and_queues_of_their_own() -> None:
    (first, own), (second, other) = run_two_ranks(_gather_on_rank)
    single = FeatureGaussians(4, 3)
    for features, labels in steps(10):
        single.update(features, labels)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.allclose(first[key], value, atol=1e-5) for key, value in single.state_dict().items())
    assert not torch.equal(own['queue.entered'], other['queue.entered'])
