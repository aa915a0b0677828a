"""Selective scan: the recurrence of Mamba's state-space layers, on any device, without kernels to compile."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.reduction import full_precision
from imbdense.core.scan.compiled import compiled_scan, compiled_scan_works
from imbdense.core.scan.recurrence import SelectiveRecurrence, scan_forward

BACKENDS = ('auto', 'two_level', 'loop', 'mamba_ssm')
OWNER = 'selective_scan'


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    backend: str = 'auto',
    segment: int = 8192,
) -> Tensor:
    """For every group g, channel d and state n, along the sequence t = 1 ... L, with h_0 = 0::

        h_tn = exp(Delta_t A_n) h_{t-1,n} + Delta_t B_tn u_t        y_t = sum_n C_tn h_tn + D u_t

    Exact: nothing is approximated, and only products of exp(Delta A) are formed, so for A <= 0 and Delta >= 0 nothing
    overflows. Work grows as L, depth as the square root of L. Gradients (first order) for all inputs.

    Args:
        u: (N, G, L, D), the input; G groups (directions of a scan over an image) have an A each.
        delta: (N, G, L, D), the step, >= 0 (already behind its softplus).
        A: (G, D, S), <= 0, for S states.
        B, C: (N, G, L, S).
        D: (G, D) or ``None``, the weight of the direct path.
        backend: 'two_level' (plain torch, see :mod:`imbdense.core.scan.recurrence`), 'loop' (one step after the other
            under autograd: slow, kept as the plain truth), 'mamba_ssm' (its CUDA kernel; when that is missing or fails
            a self-test, one warning and 'two_level'), or 'auto' (the kernel on a GPU where it works, else 'two_level').
        segment: longest piece whose states are held at once, >= 1. Memory beside the inputs is
            O(N G D (segment + S L / segment)).

    Returns:
        (N, G, L, D) in the dtype of ``u``. The arithmetic is float32 also under autocast; float64 stays float64.

    Raises:
        ValueError: shapes that do not fit, or an unknown backend.

    Source: Gu and Dao, Mamba, 2023; two-level scans are classic (Blelloch 1990).
    """
    check_choice('backend', backend, BACKENDS, owner=OWNER)
    check_integer('segment', segment, low=1, owner=OWNER)
    _check_shapes(u, delta, A, B, C, D)
    dtype = u.dtype
    u, delta, A, B, C = (full_precision(x) for x in (u, delta, A, B, C))
    with torch.autocast(u.device.type, enabled=False):
        y = _scan(u, delta, A, B, C, backend, segment)
        if D is not None:
            y = torch.addcmul(y, u, full_precision(D).unsqueeze(-2))
    return y.to(dtype)


def loop_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recurrence as it is written, step by step; shapes as in :func:`selective_scan`."""
    if u.numel() == 0:
        return torch.zeros_like(u)
    h = u.new_zeros(*u.shape[:-2], *A.shape[-2:])
    outputs = []
    for now, step, b, c in zip(*(x.unbind(-2) for x in (u, delta, B, C))):
        step = step.unsqueeze(-1)
        h = torch.exp(step * A) * h + step * b.unsqueeze(-2) * now.unsqueeze(-1)
        outputs.append((h * c.unsqueeze(-2)).sum(-1))
    return torch.stack(outputs, -2)


def _scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, backend: str, segment: int) -> Tensor:
    """Hand over to the backend."""
    if u.numel() == 0 or backend == 'loop':
        return loop_scan(u, delta, A, B, C)
    wanted = backend == 'mamba_ssm' or (backend == 'auto' and u.device.type == 'cuda')
    if wanted and u.dtype == torch.float32 and compiled_scan_works(u.device.type, backend == 'mamba_ssm'):
        return compiled_scan(u, delta, A, B, C)
    # Without a gradient the plain function is called: it exports to one graph of ordinary operators.
    if torch.is_grad_enabled() and any(x.requires_grad for x in (u, delta, A, B, C)):
        return SelectiveRecurrence.apply(u, delta, A, B, C, segment)
    return scan_forward(u, delta, A, B, C, segment)[0]


def _check_shapes(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None) -> None:
    """Raise ``ValueError`` that names the tensor which does not fit ``u`` and ``A``."""
    if u.ndim != 4 or A.ndim != 3:
        raise ValueError(
            f'{OWNER}: u must be (N, G, L, D) and A (G, D, S), but they are {tuple(u.shape)}, {tuple(A.shape)}.'
        )
    batch, groups, length, channels = u.shape
    states = A.shape[-1]
    wanted = {
        'delta': (delta, u.shape), 'A': (A, (groups, channels, states)), 'B': (B, (batch, groups, length, states)),
        'C': (C, (batch, groups, length, states)), 'D': (D, (groups, channels)),
    }  # fmt: skip
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(f'{OWNER}: {name} must be {tuple(shape)}, but is {tuple(tensor.shape)}.')
