"""Parameter counts of the published network, shapes, and the reflection at the edges."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.conv_autoencoder import ConvDecoder, ConvEncoder, reflect_to_multiple

WIDTHS = (32, 64, 128, 256, 512, 512)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_published_network() -> None:
    encoder, decoder = ConvEncoder(3, WIDTHS), ConvDecoder(3, WIDTHS)
    assert count(encoder) == 3_931_392
    assert count(encoder) + count(decoder) == 7_861_251


def test_a_tile_of_256_has_a_latent_of_32768_numbers() -> None:
    with torch.no_grad():
        latent = ConvEncoder(3, WIDTHS).eval()(torch.rand(1, 3, 256, 256))
        image = ConvDecoder(3, WIDTHS).eval()(latent)
    assert latent.shape == (1, 512, 8, 8) and latent.numel() == 32768
    assert image.shape == (1, 3, 256, 256) and image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize(('in_channels', 'widths', 'stride'), [(1, (4,), 1), (5, (4, 8), 2), (12, (4, 6, 8, 8), 8)])
def test_any_bands_and_depth(in_channels: int, widths: tuple[int, ...], stride: int) -> None:
    encoder, decoder = ConvEncoder(in_channels, widths), ConvDecoder(in_channels, widths, use_sigmoid=False)
    assert encoder.stride == stride
    latent = encoder(torch.rand(2, in_channels, 16, 8))
    assert latent.shape == (2, widths[-1], 16 // stride, 8 // stride)
    assert decoder(latent).shape == (2, in_channels, 16, 8)


def test_reflection_by_hand() -> None:
    row = torch.arange(3.0).view(1, 1, 1, 3).expand(1, 1, 8, 3)
    assert reflect_to_multiple(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert reflect_to_multiple(torch.full((1, 2, 1, 1), 7.0), 4).tolist() == torch.full((1, 2, 4, 4), 7.0).tolist()
    fits = torch.rand(1, 1, 8, 16)
    assert torch.equal(reflect_to_multiple(fits, 8), fits)


def test_errors() -> None:
    with pytest.raises(ValueError, match='widths'):
        ConvEncoder(3, ())
    with pytest.raises(ValueError, match='in_channels'):
        ConvEncoder(0, (4,))
