"""Joint spatio-frequency fusion (JSF) of the features of two dates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.reduction import full_precision
from imbdense.nn.gates import NeighbourChannelGate, SpatialGate

FREQUENCIES = ('log_amplitude', None)
TINY = 1e-12
"""Added to the squared amplitude: the root has no gradient at zero."""


def log_amplitude(x: Tensor) -> Tensor:
    """``log(1 + |FFT2(x)|)`` with orthonormal scaling, (N, C, H, W) -> (N, C, H, W), float32 (float64 stays).

    The amplitude is ``sqrt(re^2 + im^2 + 1e-12)``. Real input: only half of the spectrum is computed, the rest are its
    mirror images, F(-h, -w). The zero frequency is at (0, 0); the phase is dropped. ``[[1, 2], [3, 4]]`` gives
    ``[[1.7918, 0.6931], [1.0986, 0]]``.
    """
    with torch.autocast(x.device.type, enabled=False):
        half = torch.view_as_real(torch.fft.rfft2(full_precision(x), norm='ortho'))
        amplitude = (half.square().sum(-1) + TINY).sqrt()
        mirrored = amplitude[..., 1 : (x.shape[-1] + 1) // 2].flip(-2, -1).roll(1, -2)
        return torch.log1p(torch.cat([amplitude, mirrored], -1))


class JSFusion(nn.Module):
    """Fuse the maps A and B of two dates, (N, C, H, W) each, to one::

        freq(x) = ReLU(BN(conv1x1(log_amplitude(x))))
        z = ReLU(BN(conv1x1(cat[A, freq A, B, freq B, |A - B|])));   z *= gate over channels;   z *= gate over pixels

    A pixel (h, w) of ``freq`` is a frequency, not that place, and depends on the size of the tile: **predict on tiles
    of the size trained on.** The FFT runs in float32 also under autocast.

    Args:
        channels: C.
        freq: 'log_amplitude', or ``None`` without the frequency branch.
        use_diff: with ``|A - B|``.
        symmetric: one frequency branch for both dates and A + B, freq A + freq B instead of the pairs: exchanging the
            dates changes nothing.

    Source: Wijenayake et al., Mamba-FCS, 2025. Its released code also builds a cross-attention that is never called;
    it is not built here.
    """

    def __init__(
        self, channels: int, freq: str | None = 'log_amplitude', use_diff: bool = True, symmetric: bool = False
    ) -> None:
        super().__init__()
        check_integer('channels', channels, low=1, owner='JSFusion')
        self.freq = check_choice('freq', freq, FREQUENCIES, owner='JSFusion')
        self.use_diff, self.symmetric = bool(use_diff), bool(symmetric)
        branches = 0 if freq is None else 1 if symmetric else 2
        self.branches = nn.ModuleList(_conv_bn_relu(channels, channels) for _ in range(branches))
        parts = (1 if symmetric else 2) * (1 if freq is None else 2) + bool(use_diff)
        self.reduce = _conv_bn_relu(parts * channels, channels)
        self.channel_gate = NeighbourChannelGate(channels)
        self.spatial_gate = SpatialGate(bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, C, H, W) twice -> (N, C, H, W)."""
        parts = [[x] for x in (a, b)]
        if self.branches:
            for own, branch, x in zip(parts, (self.branches[0], self.branches[-1]), (a, b)):
                own.append(branch(log_amplitude(x).to(x.dtype)))
        mixed = [one + two for one, two in zip(*parts)] if self.symmetric else [*parts[0], *parts[1]]
        if self.use_diff:
            mixed.append((a - b).abs())
        return self.spatial_gate(self.channel_gate(self.reduce(torch.cat(mixed, 1))))


def _conv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """1 x 1 convolution without bias, BN, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
    )
