"""The mean teacher: momentum, parameters, running statistics, counters, structure."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.core.optim import freeze_teacher, teacher_momentum, update_teacher


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    teacher, student = (nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)) for _ in range(2))
    student(torch.randn(4, 1, 3, 3))
    return teacher, student


def test_momentum_grows_from_zero_to_its_limit() -> None:
    assert [teacher_momentum(t, 0.9) for t in (0, 1, 3, 8, 9, 1000)] == pytest.approx([0, 0.5, 0.75, 8 / 9, 0.9, 0.9])


@pytest.mark.parametrize('buffers', ['average', 'copy'])
def test_update_by_hand(buffers: str) -> None:
    teacher, student = networks()
    old, new = teacher[0].weight.clone(), student[0].weight.clone()
    before, after = teacher[1].running_mean.clone(), student[1].running_mean.clone()
    update_teacher(teacher, student, 0.75, buffers)
    assert torch.allclose(teacher[0].weight, 0.75 * old + 0.25 * new)
    expected = 0.75 * before + 0.25 * after if buffers == 'average' else after
    assert torch.allclose(teacher[1].running_mean, expected)
    assert int(teacher[1].num_batches_tracked) == 1, 'counters are copied'
    assert torch.equal(student[0].weight, new)


def test_a_teacher_that_keeps_its_buffers() -> None:
    teacher, student = networks()
    old = teacher[0].weight.clone()
    update_teacher(teacher, student, 0.5, 'keep')
    assert torch.allclose(teacher[0].weight, (old + student[0].weight) / 2)
    assert torch.equal(teacher[1].running_mean, torch.zeros(2)) and int(teacher[1].num_batches_tracked) == 0


def test_momentum_zero_copies_bit_for_bit() -> None:
    teacher, student = networks()
    update_teacher(teacher, student, 0.0)
    for one, two in zip(teacher.state_dict().values(), student.state_dict().values()):
        assert torch.equal(one, two)
    teacher[0].weight.data += 1
    assert not torch.equal(teacher[0].weight, student[0].weight), 'they share no memory'


def test_a_constant_student_is_reached_as_a_running_mean() -> None:
    """With the warm-up alone (limit 1) the teacher is the mean of all students so far."""
    teacher, student = networks()
    seen = []
    for t in range(6):
        student[0].weight.data.fill_(float(t))
        seen.append(float(t))
        update_teacher(teacher, student, teacher_momentum(t, 1.0))
        assert float(teacher[0].weight.mean()) == pytest.approx(sum(seen) / len(seen))


def test_other_structure_is_named() -> None:
    teacher, _ = networks()
    with pytest.raises(ValueError, match=r'0\.weight'):
        update_teacher(teacher, nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3)), 0.5)
    with pytest.raises(ValueError, match=r'1\.bias'):
        update_teacher(teacher, nn.Sequential(nn.Conv2d(1, 2, 1)), 0.5)


def test_frozen() -> None:
    teacher, _ = networks()
    freeze_teacher(teacher)
    assert not teacher.training and not any(parameter.requires_grad for parameter in teacher.parameters())
