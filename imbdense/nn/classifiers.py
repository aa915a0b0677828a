"""Last layers that take the place of a plain linear or 1 x 1 classifier: a fixed frame, or cosines."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d

from imbdense.core.checks import check_number
from imbdense.core.reduction import full_precision

TINY = 1e-12


class FixedFrameClassifier(nn.Module):
    """Feature -> linear map to d -> normalisation -> products with K fixed vectors.

    ``h = norm(V x), logits = scale * M^T h``. Only V and the normalisation learn; there is no bias.

    State: the persistent buffer ``etf`` (d, K), whatever the frame is called: a checkpoint brings the frame it was
    trained with, a resumed run does not draw a new one. Across ranks it is equal (drawn from a seed). Under autocast
    it takes part in the dtype of the features.

    Args:
        in_channels: channels of x.
        frame: (d, K), see :func:`imbdense.core.representation.fixed_frame`.
        norm: of d channels: BatchNorm2d, SyncBatchNorm or GroupNorm for maps; BatchNorm1d or LayerNorm for vectors.
        spatial: x is (N, C, H, W); ``False`` = (..., C) vectors.
        scale: > 0, factor of the logits.

    A BatchNorm that is given one vector or none in training (a batch without proposals) uses its running statistics,
    where torch raises.
    """

    etf: Tensor
    bias = None

    def __init__(
        self, in_channels: int, frame: Tensor, norm: nn.Module, *, spatial: bool = True, scale: float = 1.0
    ) -> None:
        super().__init__()
        if frame.ndim != 2:
            raise ValueError(f'FixedFrameClassifier: frame must be (d, K), but has shape {tuple(frame.shape)}.')
        dim, classes = frame.shape
        self.in_channels = self.in_features = in_channels
        self.out_channels = self.out_features = classes
        self.spatial = spatial
        self.scale = check_number('scale', scale, low=0.0, low_open=True, owner='FixedFrameClassifier')
        self.projection: nn.Module = (
            nn.Conv2d(in_channels, dim, 1, bias=False) if spatial else nn.Linear(in_channels, dim, bias=False)
        )
        self.norm = norm
        self.register_buffer('etf', frame.detach().to(torch.float32).clone())
        self.init_weights()

    def init_weights(self) -> None:
        """Start V at unit variance per output and the normalisation at its default, after whatever the head did.

        Heads of the hosts draw every parameter of their classifier from N(0, 0.01^2), also the factors of a norm.
        """
        nn.init.normal_(self.projection.weight, std=1.0 / math.sqrt(self.in_channels))
        if hasattr(self.norm, 'reset_parameters'):
            self.norm.reset_parameters()

    def features(self, x: Tensor) -> Tensor:
        """h: (N, d, H, W) or (..., d)."""
        h = self.projection(x)
        few = self.training and isinstance(self.norm, (BatchNorm1d, BatchNorm2d)) and h.numel() <= self.etf.shape[0]
        if few:
            norm = self.norm
            return F.batch_norm(
                h, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
            )
        return self.norm(h)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) or (..., K)."""
        h = self.features(x)
        rows = (self.scale * self.etf.T).to(h.dtype)
        return F.conv2d(h, rows[:, :, None, None]) if self.spatial else F.linear(h, rows)

    def extra_repr(self) -> str:
        """Shape and scale, for printing."""
        return f'etf={tuple(self.etf.shape)}, scale={self.scale:g}'


class CosineLinear(nn.Linear):
    """Linear classifier on cosines: ``temperature * <w_c / ||w_c||, x / ||x||> (+ b_c)``.

    The length of a classifier vector, which follows the class counts, has no influence. Lengths are computed in
    float32 also under autocast and clamped at 1e-12. Parameters have the names and shapes of ``nn.Linear``, so a plain
    checkpoint fits.

    Args:
        in_features, out_features: as in ``nn.Linear``.
        temperature: > 0. Plain cross-entropy needs 10 to 30 (cosines are at most 1); a loss that scales by itself
            (LDAM) wants 1.
        bias: without one by default; heads with one sigmoid per class need it for their prior.
    """

    def __init__(self, in_features: int, out_features: int, temperature: float = 20.0, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.temperature = check_number('temperature', temperature, low=0.0, low_open=True, owner='CosineLinear')
        self.init_weights()

    def init_weights(self) -> None:
        """Random directions of length about 1; a bias stays as the head set it."""
        nn.init.normal_(self.weight, std=1.0 / math.sqrt(self.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (..., K) of (..., C)."""
        rows = F.normalize(full_precision(self.weight), dim=1, eps=TINY)
        unit = F.normalize(full_precision(x), dim=-1, eps=TINY)
        bias = None if self.bias is None else full_precision(self.bias)
        return F.linear(self.temperature * unit, rows, bias)


class CosineConv2d(nn.Conv2d):
    """Convolutional classifier on cosines, for 1 x 1 and larger kernels.

    ``temperature * <w_c / ||w_c||, p / ||p||> (+ b_c)`` with p the patch under the kernel (all channels and places) and
    w_c the whole kernel of class c. See :class:`CosineLinear`.

    Args:
        in_channels, out_channels, kernel_size, stride, padding: as in ``nn.Conv2d``.
        temperature, bias: see :class:`CosineLinear`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        temperature: float = 20.0,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)
        self.temperature = check_number('temperature', temperature, low=0.0, low_open=True, owner='CosineConv2d')
        self.init_weights()

    def init_weights(self) -> None:
        """Random directions of length about 1; a bias stays as the head set it."""
        nn.init.normal_(self.weight, std=1.0 / math.sqrt(self.weight[0].numel()))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H', W') of (N, C, H, W)."""
        rows = F.normalize(full_precision(self.weight).flatten(1), dim=1, eps=TINY).reshape(self.weight.shape)
        maps = full_precision(x)
        if self.kernel_size == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0):
            bias = None if self.bias is None else full_precision(self.bias)
            return F.conv2d(self.temperature * F.normalize(maps, dim=1, eps=TINY), rows, bias)
        with torch.autocast(maps.device.type, enabled=False):
            square = F.conv2d(
                maps.square().sum(1, keepdim=True), maps.new_ones(1, 1, *self.kernel_size),
                stride=self.stride, padding=self.padding,
            )  # fmt: skip
            length = square.clamp_min(TINY**2).sqrt()
            logits = self.temperature * F.conv2d(maps, rows, None, self.stride, self.padding) / length
        return logits if self.bias is None else logits + self.bias[:, None, None]
