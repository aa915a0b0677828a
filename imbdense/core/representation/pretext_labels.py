"""Pretext tasks that make their own labels: which way up, and in which order the quarters belong."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer

JIGSAW_ORDERS: tuple[tuple[int, ...], ...] = tuple(permutations(range(4)))
"""The 24 orders of four tiles; tile ``order[i]`` lies at place i."""


def balanced_labels(number: int, classes: int, device: torch.device | str = 'cpu') -> Tensor:
    """``number`` labels in [0, classes) in random order, each class equally often up to one; (number,) int64.

    Which classes come once more when ``number`` is no multiple is drawn too. From torch's global generator; nothing
    is read back from the device.

    Raises:
        ValueError: ``number`` < 0 or ``classes`` < 1.
    """
    check_integer('number', number, low=0, owner='balanced_labels')
    check_integer('classes', classes, low=1, owner='balanced_labels')
    first = torch.randint(classes, (1,), device=device)
    labels = (torch.arange(number, device=device) + first) % classes
    return labels[torch.randperm(number, device=device)]


def rotate_images(images: Tensor, labels: Tensor) -> Tensor:
    """Turn image i by ``labels[i]`` quarters counter-clockwise, (N, C, S, S), as ``torch.rot90`` does.

    Args:
        images: (N, C, S, S).
        labels: (N,) integers in [0, 4).

    Raises:
        ValueError: the images are not square, so that turned ones do not fit into one batch; or the shapes differ.

    Source: Gidaris et al., Unsupervised representation learning by predicting image rotations, ICLR 2018.
    """
    if images.ndim != 4 or images.shape[-1] != images.shape[-2]:
        raise ValueError(
            f'rotate_images: images must be square, (N, C, S, S), but have shape {tuple(images.shape)}. Crop them to '
            f'squares.'
        )
    _check_labels(images, labels, 'rotate_images')
    transposed = images.transpose(-1, -2)
    turned = torch.stack([images, transposed.flip(-2), images.flip((-2, -1)), transposed.flip(-1)])
    return turned[labels, torch.arange(images.shape[0], device=images.device)]


def jigsaw_tiles(images: Tensor, labels: Tensor) -> Tensor:
    """Cut every image into 2 x 2 tiles and put them into the order of its label.

    Args:
        images: (N, C, H, W), H and W even.
        labels: (N,) integers in [0, 24), rows of :data:`JIGSAW_ORDERS`.

    Returns:
        (N, 4, C, H / 2, W / 2); the tiles are counted row by row.

    Raises:
        ValueError: H or W is odd, or the shapes differ.

    Source: Noroozi and Favaro, Unsupervised learning of visual representations by solving jigsaw puzzles, ECCV 2016.
    """
    if images.ndim != 4 or images.shape[-1] % 2 or images.shape[-2] % 2:
        raise ValueError(f'jigsaw_tiles: images must be (N, C, H, W) with H and W even, got {tuple(images.shape)}.')
    _check_labels(images, labels, 'jigsaw_tiles')
    number, channels, height, width = images.shape
    grid = images.view(number, channels, 2, height // 2, 2, width // 2)
    tiles = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = torch.tensor(JIGSAW_ORDERS, device=images.device)[labels]
    return tiles[torch.arange(number, device=images.device)[:, None], order]


def _check_labels(images: Tensor, labels: Tensor, owner: str) -> None:
    """One integer label per image."""
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f'{owner}: expected one integer label per image, ({images.shape[0]},), but got {labels.dtype} '
            f'{tuple(labels.shape)}.'
        )
