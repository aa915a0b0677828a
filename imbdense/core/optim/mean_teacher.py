"""The mean teacher: a copy of a network that follows it as a moving average."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Buffers = Literal['average', 'copy', 'keep']


def teacher_momentum(step: int, momentum: float) -> float:
    """m_t = min(1 - 1 / (t + 1), momentum) for t = 0, 1, ...: the first step copies, later ones average ever longer."""
    return min(1.0 - 1.0 / (step + 1), momentum)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float, buffers: Buffers = 'average') -> None:
    """teacher <- m * teacher + (1 - m) * student, in place.

    Parameters are averaged; float buffers (running statistics of normalisation layers) are averaged or copied;
    integer buffers (counters) are copied. A teacher that normalises batches of its own keeps all of its buffers
    ('keep'). ``momentum=0`` copies everything else exactly. Values keep the teacher's dtype.

    Args:
        momentum: m in [0, 1].
        buffers: 'average' or 'copy', for float buffers; 'keep' = no buffer is touched.

    Raises:
        ValueError: the two differ in the names or shapes of their parameters or buffers; the message names them.

    State: none of its own. Ranks: equal students give equal teachers; nothing is communicated.
    Source: Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017.
    """
    own, other = _tensors(teacher), _tensors(student)
    wrong = sorted(own.keys() ^ other.keys())
    wrong = wrong or [name for name, value in own.items() if value.shape != other[name].shape]
    if wrong:
        raise ValueError(f'update_teacher: teacher and student differ in {wrong[:5]}; they must be built alike.')
    parameters = {name for name, _ in teacher.named_parameters()}
    averaged: list[tuple[Tensor, Tensor]] = []
    for name, value in own.items():
        if buffers == 'keep' and name not in parameters:
            continue
        follows = name in parameters or (buffers == 'average' and value.is_floating_point())
        if follows and momentum > 0:
            averaged.append((value, other[name].to(value.dtype)))
        else:
            value.copy_(other[name])
    if averaged:
        torch._foreach_lerp_([value for value, _ in averaged], [value for _, value in averaged], 1.0 - momentum)


def freeze_teacher(teacher: nn.Module) -> None:
    """No gradient, and evaluation mode."""
    teacher.requires_grad_(False)
    teacher.eval()


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
