"""Two-dimensional selective scan (SS2D): every pixel hears of all others along four paths over the map."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.reduction import full_precision
from imbdense.core.scan import BACKENDS, cross_merge, cross_scan, selective_scan

PATHS = 4
INITS = ('v0', 'v1', 'v2')
STEP_RANGE = (1e-3, 0.1)
STEP_FLOOR = 1e-4


class SS2D(nn.Module):
    """Depth-wise convolution, then the selective scan along four paths, added up.

    With D = ``channels`` and Di = ``ratio`` * D::

        x = SiLU(DWConv3x3(W_in x));   [d_k | B_k | C_k] = W_k x,   Delta_k = softplus(V_k d_k + b_k)   for path k
        y = sum_k scan(x, Delta_k, A_k, B_k, C_k, D_k)  (each put back in place);   out = W_out (LN(y) [* SiLU(z)])

    (N, H, W, D) -> (N, H, W, D), any H and W. The scan runs in float32 also under autocast (half precision is unstable
    in training); see :func:`imbdense.core.scan.selective_scan`.

    ``A_log`` and ``D`` carry the mark ``_no_weight_decay``; ``imbdense.MarkedOptimWrapperConstructor`` honours it.

    Args:
        channels: D.
        ratio: > 0. state: S of the recurrence; VMamba (0229) has 1.
        gated: multiply with a second projection z.
        init: 'v0' of Mamba (A = -1 ... -S, steps drawn from [0.001, 0.1] on a logarithmic scale), or the ablations
            'v1' (normal) and 'v2' (A = -1, small uniform steps).
        scan: backend of the scan.

    Source: Liu et al., VMamba, NeurIPS 2024.
    """

    def __init__(
        self,
        channels: int,
        ratio: float = 2.0,
        d_state: int = 1,
        gated: bool = False,
        init: str = 'v0',
        scan: str = 'auto',
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_integer('channels', channels, low=1, owner=owner)
        inner = int(channels * check_number('ratio', ratio, low=0.0, low_open=True, owner=owner))
        self.d_state = check_integer('d_state', d_state, low=1, owner=owner)
        self.rank = math.ceil(channels / 16)
        self.gated = bool(gated)
        self.scan = check_choice('scan', scan, BACKENDS, owner=owner)
        self.in_proj = nn.Linear(channels, 2 * inner if gated else inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.x_proj_weight = nn.Parameter(torch.empty(PATHS, self.rank + 2 * d_state, inner))
        self.dt_proj_weight = nn.Parameter(torch.empty(PATHS, inner, self.rank))
        self.dt_proj_bias = nn.Parameter(torch.empty(PATHS, inner))
        self.A_log = nn.Parameter(torch.empty(PATHS, inner, d_state))
        self.D = nn.Parameter(torch.ones(PATHS, inner))
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)
        for mark in (self.A_log, self.D):
            mark._no_weight_decay = True  # type: ignore[attr-defined]
        self._init_scan(check_choice('init', init, INITS, owner=owner))

    @torch.no_grad()
    def _init_scan(self, init: str) -> None:
        """Start the parameters of the recurrence."""
        for weight in self.x_proj_weight:
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))  # as nn.Linear
        if init == 'v0':
            self.A_log.copy_(torch.arange(1, self.d_state + 1, dtype=torch.float32).log().expand_as(self.A_log))
            self.dt_proj_weight.uniform_(-(self.rank**-0.5), self.rank**-0.5)
            low, high = (math.log(value) for value in STEP_RANGE)
            step = torch.empty_like(self.dt_proj_bias).uniform_(low, high).exp().clamp_min(STEP_FLOOR)
            self.dt_proj_bias.copy_(step + torch.log(-torch.expm1(-step)))  # softplus gives back the step
        elif init == 'v1':
            for parameter in (self.A_log, self.dt_proj_weight, self.dt_proj_bias):
                parameter.normal_()
        else:
            self.A_log.zero_()
            for parameter in (self.dt_proj_weight, self.dt_proj_bias):
                parameter.uniform_(0.0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, D) -> (N, H, W, D)."""
        x = self.in_proj(x)
        gate = None
        if self.gated:
            x, gate = x.chunk(2, dim=-1)
        x = F.silu(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        y = self.out_norm(self._mix(x)).to(x.dtype)
        if gate is not None:
            y = y * F.silu(gate)
        return self.out_proj(y)

    def _mix(self, x: Tensor) -> Tensor:
        """The scan along the four paths, (N, H, W, Di) in full precision."""
        paths = cross_scan(x)
        low_rank, B, C = (paths @ self.x_proj_weight.transpose(1, 2)).split(
            [self.rank, self.d_state, self.d_state], dim=-1
        )
        step = low_rank @ self.dt_proj_weight.transpose(1, 2)
        delta = F.softplus(full_precision(step) + self.dt_proj_bias.unsqueeze(1))
        A = -torch.exp(full_precision(self.A_log))
        y = selective_scan(full_precision(paths), delta, A, B, C, self.D, backend=self.scan)
        return cross_merge(y, x.shape[1], x.shape[2])
