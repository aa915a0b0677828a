"""The compiled kernel of ``mamba_ssm``, used only where it is installed and agrees with plain torch."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from imbdense.core.scan.recurrence import scan_forward

TOLERANCE = 1e-3
MODULE = 'mamba_ssm.ops.selective_scan_interface'


def compiled_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recurrence by ``mamba_ssm``; shapes as in :func:`imbdense.core.scan.selective_scan`, float32."""
    batch, groups, length, channels = u.shape
    rows = [x.transpose(-1, -2).reshape(batch, groups * channels, length) for x in (u, delta)]
    mixed = [x.transpose(-1, -2).contiguous() for x in (B, C)]
    y = _kernel()(*rows, A.flatten(0, 1), *mixed)
    return y.unflatten(1, (groups, channels)).transpose(-1, -2)


@lru_cache
def compiled_scan_works(device_type: str, asked_for: bool) -> bool:
    """Whether the kernel is there and gives what plain torch gives; looked at once per device type and process.

    Warns when it was ``asked_for`` and is not there, and whenever it is there and wrong.
    """
    try:
        importlib.import_module(MODULE)
    except Exception as error:  # a broken binary raises anything, from ImportError to RuntimeError
        if asked_for:
            warnings.warn(f'mamba_ssm cannot be used ({error}); the scan runs in plain torch.', stacklevel=2)
        return False
    problem = _self_test(torch.device(device_type))
    if problem:
        warnings.warn(f'mamba_ssm fails its self-test ({problem}); the scan runs in plain torch.', stacklevel=2)
    return not problem


def _self_test(device: torch.device) -> str:
    """What is wrong with the kernel, or an empty text."""
    generator = torch.Generator().manual_seed(0)
    u, step = (torch.randn(2, 4, 65, 8, generator=generator) for _ in range(2))
    B, C = (torch.randn(2, 4, 65, 2, generator=generator) for _ in range(2))
    A = -torch.rand(4, 8, 2, generator=generator) - 0.5
    inputs = [x.to(device) for x in (u, step.abs(), A, B, C)]
    expected, _ = scan_forward(*inputs, segment=65)
    try:
        gap = float((compiled_scan(*inputs) - expected).abs().max())
    except Exception as error:
        return f'it raises {type(error).__name__}: {error}'
    return '' if gap <= TOLERANCE else f'its result differs by {gap:.1e}'


def _kernel() -> Callable[..., Tensor]:
    """``selective_scan_fn`` of mamba_ssm."""
    return importlib.import_module(MODULE).selective_scan_fn
