"""EMATeacherHook: start, update, frozen teachers, resume, any model with a student and a teacher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from imbdense.registry import HOOKS


class Pair(nn.Module):
    """A student and a teacher with batch norm, and another pair inside."""

    def __init__(self, nested: bool = False) -> None:
        super().__init__()
        self.student, self.teacher = (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2))
        self.inner = Pair() if nested else None


def runner(model: nn.Module, iteration: int = 0) -> Any:
    return SimpleNamespace(model=model, iter=iteration)


def build(**options: Any) -> Any:
    return HOOKS.build(dict(type='imbdense.EMATeacherHook', **options))


def same(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values()))


def train(hook: Any, where: Any, steps: int) -> None:
    """Change the student as an optimiser would, with the iteration as the amount."""
    for _ in range(steps):
        where.model.train()
        hook.before_train_iter(where, 0)
        assert not where.model.teacher.training and where.model.student.training
        where.model.student[0].weight.data += 1.0 + where.iter
        where.model.student[1].num_batches_tracked += 1
        hook.after_train_iter(where, 0)
        where.iter += 1


def test_a_fresh_run_copies_and_freezes_every_pair() -> None:
    model = Pair(nested=True)
    build().before_train(runner(model))
    for module in (model, model.inner):
        assert same(module.student, module.teacher) and module.teacher_follows
        assert not any(p.requires_grad for p in module.teacher.parameters()) and not module.teacher.training
        assert all(p.requires_grad for p in module.student.parameters())


def test_a_resumed_run_keeps_its_teacher() -> None:
    model = Pair()
    before = model.teacher[0].weight.clone()
    build().before_train(runner(model, iteration=7))
    assert torch.equal(model.teacher[0].weight, before) and not model.teacher[0].weight.requires_grad


def test_update_by_hand() -> None:
    """Momentum .6: m_t = 0, 1/2, .6; the student is w + 1, w + 3, w + 6."""
    where = runner(Pair())
    hook = build(momentum=0.6)
    hook.before_train(where)
    start = where.model.student[0].weight.clone()
    train(hook, where, 3)
    expected = 0.6 * (0.5 * 1 + 0.5 * 3) + 0.4 * 6
    assert torch.allclose(where.model.teacher[0].weight, start + expected)
    assert int(where.model.teacher[1].num_batches_tracked) == 3


def test_without_warm_up_and_with_an_interval() -> None:
    where = runner(Pair())
    hook = build(momentum=0.5, warm_up=False, interval=2)
    hook.before_train(where)
    start = where.model.student[0].weight.clone()
    train(hook, where, 3)
    assert torch.allclose(where.model.teacher[0].weight, start + 0.5 * 3)


def test_stop_and_resume_is_bit_equal() -> None:
    torch.manual_seed(0)
    whole, part = Pair(), Pair()
    part.load_state_dict(whole.state_dict())
    one, two = build(momentum=0.9), build(momentum=0.9)
    one.before_train(runner(whole))
    where = runner(whole)
    train(one, where, 12)
    two.before_train(runner(part))
    half = runner(part)
    train(two, half, 5)
    resumed = Pair()
    resumed.load_state_dict(part.state_dict())
    three = build(momentum=0.9)
    three.before_train(runner(resumed, iteration=5))
    train(three, runner(resumed, iteration=5), 7)
    assert same(whole, resumed)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match='both a student and a teacher'):
        build().before_train(runner(nn.Linear(1, 1)))
    model = Pair()
    model.teacher = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match='differ in'):
        build().before_train(runner(model))
    wrong = ({'momentum': 1.0}, 'below 1'), ({'buffers': 'skip'}, 'buffers'), ({'interval': 0}, 'interval')
    for options, word in wrong:
        with pytest.raises(ValueError, match=word):
            build(**options)


def test_it_serves_the_semi_detector_of_the_host() -> None:
    pytest.importorskip('mmdet')
    from mmdet.models.detectors import SemiBaseDetector

    class Detector(SemiBaseDetector):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.student, self.teacher = nn.Linear(2, 2), nn.Linear(2, 2)

    where = runner(Detector())
    hook = build()
    hook.before_train(where)
    assert same(where.model.student, where.model.teacher)
