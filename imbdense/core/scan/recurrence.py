"""The selective state-space recurrence with a backward pass of its own, in segments: memory is linear in L."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from imbdense.core.scan.chunked import as_steps, chunk_steps, pad_steps, scan_steps


class SelectiveRecurrence(torch.autograd.Function):
    """y_t = sum_n C_tn h_tn with h_tn = exp(Delta_t A_n) h_{t-1,n} + Delta_t B_tn u_t, for n = 1 ... S.

    All tensors float32 or all float64. Saved for backward: the inputs, and one state per segment; h and exp(Delta A)
    are computed again, one segment and one n at a time. So memory is O(N G D L) for the inputs and
    O(N G D (segment + S L / segment)) beside them, never O(N G D L S).

    Shapes: ``u``, ``delta`` (N, G, L, D); ``A`` (G, D, S); ``B``, ``C`` (N, G, L, S) -> (N, G, L, D).
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, segment: int) -> Tensor:
        """Scan segment by segment."""
        y, starts = scan_forward(u, delta, A, B, C, segment)
        ctx.save_for_backward(u, delta, A, B, C, *starts)
        ctx.segment = segment
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """With g_t = C_t dL/dy_t, the adjoint recurrence runs backwards: s_t = g_t + a_{t+1} s_{t+1}."""
        u, delta, A, B, C, *starts = ctx.saved_tensors
        du, dd, dA = torch.zeros_like(u), torch.zeros_like(delta), torch.zeros_like(A)
        dB, dC = torch.empty_like(B), torch.empty_like(C)
        spans = segments(u.shape[-2], ctx.segment)
        with torch.autocast(u.device.type, enabled=False):
            for n in range(A.shape[-1]):
                later = torch.zeros_like(starts[0][..., n])
                for (start, stop), states in zip(reversed(spans), reversed(starts)):
                    part = _Segment(u, delta, A, B, C, start, stop, n)
                    later = part.backward(grad[..., start:stop, :], states[..., n], later, du, dd, dA, dB, dC)
        return du, dd, dA, dB, dC, None


def scan_forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, segment: int
) -> tuple[Tensor, list[Tensor]]:
    """(y, the states (N, G, D, S) before each segment); shapes as in :class:`SelectiveRecurrence`."""
    spans = segments(u.shape[-2], segment)
    starts = [u.new_zeros((*u.shape[:-2], u.shape[-1], A.shape[-1]))]
    parts = []
    for start, stop in spans:
        y, ends = None, []
        for n in range(A.shape[-1]):
            part = _Segment(u, delta, A, B, C, start, stop, n)
            h, end = part.forward(starts[-1][..., n])
            own = h[..., : stop - start, :] * part.C
            y = own if y is None else y.add_(own)
            ends.append(end)
        parts.append(y)
        starts.append(torch.stack(ends, -1))
    return parts[0] if len(parts) == 1 else torch.cat(parts, -2), starts[: len(spans)]


def segments(length: int, segment: int) -> list[tuple[int, int]]:
    """(start, stop) of the pieces of a sequence."""
    return [(start, min(start + segment, length)) for start in range(0, length, segment)]


class _Segment:
    """One piece of the sequence and one of the S states."""

    def __init__(
        self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, start: int, stop: int, n: int
    ) -> None:
        self.span, self.n = slice(start, stop), n
        self.u, self.delta = u[..., self.span, :], delta[..., self.span, :]
        self.A = A[..., n].unsqueeze(-2)
        self.B, self.C = (x[..., self.span, n : n + 1] for x in (B, C))
        rows = u.numel() // max(u.shape[-2], 1)
        self.steps = chunk_steps(stop - start, rows, u.device.type != 'cpu')

    def decay(self) -> Tensor:
        """a = exp(Delta A), padded with ones."""
        return pad_steps(self.delta * self.A, self.steps).exp_()

    def drive(self) -> Tensor:
        """b = Delta B u, padded with zeros."""
        return pad_steps((self.delta * self.u).mul_(self.B), self.steps)

    def forward(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """h (padded) and its last value."""
        a, h = self.decay(), self.drive()
        end = scan_steps(as_steps(a, self.steps), as_steps(h, self.steps), start)
        return h, end

    def backward(
        self, grad: Tensor, start: Tensor, later: Tensor, du: Tensor, dd: Tensor, dA: Tensor, dB: Tensor, dC: Tensor
    ) -> Tensor:
        """Add this piece's gradients to the given tensors; ``later`` is dL/dh of its end. Returns dL/d start."""
        a, s = self.decay(), pad_steps(grad * self.C, self.steps)
        a_steps, s_steps = as_steps(a, self.steps), as_steps(s, self.steps)
        following = a_steps[0].roll(-1, -2)  # a of the element behind each chunk
        following[..., -1, :] = 1
        scan_steps([following, *a_steps[:0:-1]], s_steps[::-1], later, reverse=True)
        before = a[..., 0, :] * s[..., 0, :]

        h, length = self.drive(), grad.shape[-2]
        scan_steps(a_steps, as_steps(h, self.steps), start, products=True)  # now a is a_t h_{t-1}
        a, s, h = a[..., :length, :], s[..., :length, :], h[..., :length, :]
        dC[..., self.span, self.n] = h.mul_(grad).sum(-1)
        a.mul_(s)  # a_t dL/da_t
        push = torch.mul(s, self.u, out=h)
        dd[..., self.span, :].addcmul_(a, self.A).addcmul_(push, self.B)
        dA[..., self.n] += a.mul_(self.delta).sum(-2).sum(0)
        dB[..., self.span, self.n] = push.mul_(self.delta).sum(-1)
        du[..., self.span, :].addcmul_(s.mul_(self.delta), self.B)
        return before
