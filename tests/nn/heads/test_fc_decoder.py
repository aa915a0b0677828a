"""FC-EF, FC-Siam-diff and FC-Siam-conc: the authors' parameter counts, odd sizes, the skip connections."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.nn.backbones.fc_encoder import WIDTHS, FCEncoder
from imbdense.nn.heads.fc_decoder import FCDecoder
from imbdense.nn.necks.fusion import fuse


def parameters(encoder_bands: int, skips: tuple[int, ...], classes: int = 2) -> int:
    last = nn.ConvTranspose2d(16, classes, 3, padding=1)
    return sum(p.numel() for m in (FCEncoder(encoder_bands), FCDecoder(skips), last) for p in m.parameters())


def published_layers(bands: int, skips: tuple[int, ...], classes: int) -> int:
    """Parameters of the layers as the authors list them (3 x 3, with bias; every one but the last and the
    upsampling has a batch norm)."""
    encoder = [(bands, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 128), (128, 128),
               (128, 128)]  # fmt: skip
    decoder = [(128 + skips[3], 128), (128, 128), (128, 64), (64 + skips[2], 64), (64, 64), (64, 32),
               (32 + skips[1], 32), (32, 16), (16 + skips[0], 16)]  # fmt: skip
    up = [(128, 128), (64, 64), (32, 32), (16, 16), (16, classes)]
    return sum(9 * i * o + 3 * o for i, o in encoder + decoder) + sum(9 * i * o + o for i, o in up)


@pytest.mark.parametrize(
    ('bands', 'skips'),
    [(6, WIDTHS), (3, WIDTHS), (3, (32, 64, 128, 256)), (12, WIDTHS)],
    ids=['FC-EF', 'FC-Siam-diff', 'FC-Siam-conc', 'FC-EF of 6 bands'],
)
def test_parameter_count_is_that_of_the_published_layers(bands: int, skips: tuple[int, ...]) -> None:
    assert parameters(bands, skips) == published_layers(bands, skips, 2)


@pytest.mark.parametrize('size', [(16, 16), (37, 53)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    encoder, decoder = FCEncoder(6).eval(), FCDecoder().eval()
    levels = encoder(torch.randn(1, 6, *size))
    assert [level.shape[1] for level in levels] == [16, 32, 64, 128, 128]
    assert decoder(levels).shape == (1, 16, *size)


def test_siamese_difference_sees_date_two_at_the_bottom_only() -> None:
    """Equal dates: all skips are 0, so two pairs of equal images differ through the bottom alone."""
    encoder, decoder = FCEncoder(3).eval(), FCDecoder().eval()
    image = torch.randn(1, 3, 32, 32)
    pairs = list(zip(encoder(image), encoder(image)))
    fused = [fuse(a, b, 'diff') for a, b in pairs[:-1]] + [fuse(*pairs[-1], 'last')]
    assert all(level.eq(0).all() for level in fused[:-1]) and not fused[-1].eq(0).all()
    assert decoder(fused).shape == (1, 16, 32, 32)


def test_wrong_number_of_skips() -> None:
    with pytest.raises(ValueError, match='must hold 4 numbers'):
        FCDecoder((16, 32))
