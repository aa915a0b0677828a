"""Encoder and decoder of a small convolutional autoencoder for tiles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer

SLOPE = 0.01
"""Of the LeakyReLU behind every normalisation."""


class ConvEncoder(nn.Sequential):
    """3 x 3 convolutions with batch norm and LeakyReLU; the first keeps the size, each further one halves it.

    (N, in_channels, H, W) -> (N, widths[-1], H / s, W / s) with s = :attr:`stride`; H and W must be multiples of s.

    State: the running statistics of BatchNorm. In training a batch needs more than one value per channel.

    Args:
        in_channels: bands of the image.
        widths: output channels of the convolutions, at least one.
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        channels = _checked(in_channels, widths)
        layers: list[nn.Module] = []
        for number, (narrow, wide) in enumerate(pairwise(channels)):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2 if number else 1, padding=1), *_activated(wide)]
        super().__init__(*layers)
        self.stride = 2 ** (len(widths) - 1)


class ConvDecoder(nn.Sequential):
    """The mirror of :class:`ConvEncoder`: transposed convolutions that double the size, then a 3 x 3 convolution.

    Args:
        in_channels, widths: of the encoder; the result has ``in_channels`` bands.
        use_sigmoid: end with a sigmoid, for images in [0, 1].
    """

    def __init__(self, in_channels: int, widths: Sequence[int], use_sigmoid: bool = True) -> None:
        channels = _checked(in_channels, widths)[:0:-1]
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(channels):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1), *_activated(narrow)
            ]
        layers.append(nn.Conv2d(channels[-1], in_channels, 3, padding=1))
        super().__init__(*layers, *([nn.Sigmoid()] if use_sigmoid else []))


def reflect_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """(N, C, H, W) continued by reflection at the right and lower edge until H and W are multiples of ``multiple``.

    Images narrower than the missing part are reflected several times; one row or column is repeated.
    """
    for axis in (2, 3):
        wanted = -(-images.shape[axis] // multiple) * multiple
        while images.shape[axis] < wanted:
            extent = images.shape[axis]
            missing = min(wanted - extent, max(extent - 1, 1))
            padding = (0, 0, 0, missing) if axis == 2 else (0, missing, 0, 0)
            images = F.pad(images, padding, mode='reflect' if extent > 1 else 'replicate')
    return images


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    """What follows a convolution."""
    return nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True)


def _checked(in_channels: int, widths: Sequence[int]) -> list[int]:
    """All channel numbers, from the image inwards."""
    if not len(widths):
        raise ValueError('ConvEncoder: widths must name at least one convolution.')
    check_integer('in_channels', in_channels, low=1, owner='ConvEncoder')
    return [in_channels, *(check_integer('widths', width, low=1, owner='ConvEncoder') for width in widths)]
