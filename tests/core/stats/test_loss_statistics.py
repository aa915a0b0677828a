"""Gradients, scores and confusions gathered while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from imbdense.core.stats import RunningConfusion, RunningGradients, RunningScores
from tests.helpers.two_ranks import run_two_ranks

C = 3


def steps(rank: int | None) -> list[dict[str, tuple[torch.Tensor, ...]]]:
    """Three steps of both ranks; of one rank, or (``None``) joined."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(3):
        ranks = [
            {
                'gradients': (torch.rand(C, generator=generator), torch.rand(C, generator=generator)),
                'scores': (torch.rand(C, generator=generator), torch.randint(0, 3, (C,), generator=generator)),
                'confusion': (
                    torch.randint(0, C, (4 + rank_size,), generator=generator),
                    torch.rand(4 + rank_size, C, generator=generator),
                ),
            }
            for rank_size in range(2)
        ]
        joined = {key: tuple(map(torch.add, ranks[0][key], ranks[1][key])) for key in ('gradients', 'scores')}
        joined['confusion'] = tuple(map(torch.cat, zip(ranks[0]['confusion'], ranks[1]['confusion'], strict=True)))
        found.append(joined if rank is None else ranks[rank])
    return found


MAKE: dict[str, Callable[[], Any]] = {
    'gradients': lambda: RunningGradients(C),
    'scores': lambda: RunningScores(C),
    'confusion': lambda: RunningConfusion(C),
}
each = pytest.mark.parametrize('name', MAKE)


def test_ratio_starts_high_and_follows_the_sums() -> None:
    stats = RunningGradients(2)
    assert stats.ratio().tolist() == [100.0, 100.0]
    stats.update(torch.tensor([1.0, 0.0]), torch.tensor([4.0, 0.0]))
    assert stats.ratio().tolist() == pytest.approx([0.25, 100.0])  # class 1 has no gradient yet
    stats.update(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert stats.ratio().tolist() == pytest.approx([0.5, 0.0])


def test_mean_score_takes_one_observation_per_step_and_class() -> None:
    stats = RunningScores(2, initial=0.01, momentum=0.9)
    stats.update(torch.tensor([1.2, 0.0]), torch.tensor([2, 0]))
    assert stats.mean.tolist() == pytest.approx([0.9 * 0.01 + 0.1 * 0.6, 0.01])
    for _ in range(200):
        stats.update(torch.tensor([0.3, 0.0]), torch.tensor([1, 0]))
    assert stats.mean.tolist() == pytest.approx([0.3, 0.01])


def test_confusion_rows_are_means_over_the_samples_of_a_class() -> None:
    stats = RunningConfusion(2)
    assert stats.confusion().tolist() == [[0, 0], [0, 0]]
    stats.update(torch.tensor([0, 0]), torch.tensor([[0.9, 0.1], [0.6, 0.4]]))
    assert stats.confusion().tolist() == [[0.75, 0.25], [0, 0]]


@each
def test_frozen_in_eval_and_restored_from_the_state_dict(name: str) -> None:
    stats = MAKE[name]()
    stats.update(*steps(0)[0][name])
    before = {key: value.clone() for key, value in stats.state_dict().items()}
    stats.eval().update(*steps(0)[1][name])
    assert before and all(torch.equal(value, before[key]) for key, value in stats.state_dict().items())
    copy = MAKE[name]()
    copy.load_state_dict(before)
    for module in (stats.train(), copy):
        module.update(*steps(0)[2][name])
    assert all(torch.equal(value, copy.state_dict()[key]) for key, value in stats.state_dict().items())


def _after_three_steps() -> dict[str, list[Any]]:
    import torch.distributed as dist

    return _run(dist.get_rank())


def _run(rank: int | None) -> dict[str, list[Any]]:
    modules: dict[str, nn.Module] = {name: make() for name, make in MAKE.items()}
    for step in steps(rank):
        for name, module in modules.items():
            module.update(*step[name])
    return {name: [value.tolist() for value in module.state_dict().values()] for name, module in modules.items()}


def test_two_ranks_equal_each_other_and_one_process_on_the_joined_steps() -> None:
    one, other = run_two_ranks(_after_three_steps)
    joined = _run(None)
    assert one == other
    for name in MAKE:
        for found, expected in zip(one[name], joined[name], strict=True):
            assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-6)


@pytest.mark.parametrize('make', [RunningGradients, RunningScores, RunningConfusion])
def test_number_of_classes_is_checked(make: Any) -> None:
    with pytest.raises(ValueError, match='num_classes must be >= 1'):
        make(0)


def test_confusion_against_a_loop_over_samples() -> None:
    stats, expected = RunningConfusion(C), torch.zeros(C, C, dtype=torch.float64)
    for step in steps(0):
        stats.update(*step['confusion'])
        for label, row in zip(*step['confusion'], strict=True):
            expected[int(label)] += row.double()
    stats.update(torch.zeros(0, dtype=torch.int64), torch.zeros(0, C))
    assert torch.allclose(stats.total, expected, rtol=1e-12)
