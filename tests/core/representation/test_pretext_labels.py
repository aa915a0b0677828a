"""Labels that make themselves: balanced draws, turns, tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.representation import JIGSAW_ORDERS, balanced_labels, jigsaw_tiles, rotate_images


@pytest.mark.parametrize(('number', 'classes'), [(8, 4), (10, 4), (3, 4), (1, 24), (0, 4), (50, 24)])
def test_every_class_equally_often_up_to_one(number: int, classes: int) -> None:
    torch.manual_seed(0)
    counts = torch.bincount(balanced_labels(number, classes), minlength=classes)
    assert int(counts.sum()) == number and int(counts.max() - counts.min()) <= 1


def test_the_draw_is_permuted_and_follows_the_seed() -> None:
    torch.manual_seed(1)
    draws = [balanced_labels(10, 4) for _ in range(40)]
    torch.manual_seed(1)
    assert torch.equal(balanced_labels(10, 4), draws[0])
    assert len({tuple(draw.tolist()) for draw in draws}) > 30, 'not the same order every time'
    extra = torch.stack([torch.bincount(draw, minlength=4) for draw in draws]).float().mean(0)
    assert float((extra - 2.5).abs().max()) < 0.35, 'the two that come once more are drawn too'


def test_turning_by_hand_and_as_numpy_does() -> None:
    image = torch.tensor([[[1, 2], [3, 4]]])
    turned = rotate_images(image.expand(4, 1, 2, 2), torch.arange(4))
    assert turned[:, 0].tolist() == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    images, labels = torch.randn(6, 3, 5, 5), torch.tensor([3, 0, 2, 1, 1, 3])
    for image, label, result in zip(images, labels.tolist(), rotate_images(images, labels)):
        assert np.array_equal(np.rot90(image.numpy(), label, axes=(1, 2)), result.numpy())


def test_tiles_by_hand() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    label = torch.tensor([JIGSAW_ORDERS.index((3, 0, 2, 1))])
    tiles = jigsaw_tiles(image, label)
    assert tiles.shape == (1, 4, 1, 2, 2)
    assert tiles[0, :, 0].flatten(1).tolist() == [[10, 11, 14, 15], [0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7]]


def test_all_orders_differ_and_keep_every_tile() -> None:
    assert len(set(JIGSAW_ORDERS)) == 24
    images = torch.randn(24, 2, 6, 4)
    tiles = jigsaw_tiles(images, torch.arange(24))
    assert torch.equal(tiles.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    assert torch.equal(tiles[0, 0], images[0, :, :3, :2]), 'the first order is the identity'


@pytest.mark.parametrize(('images', 'labels', 'message'), [
    (torch.zeros(2, 3, 4, 6), torch.zeros(2, dtype=torch.long), 'square'),
    (torch.zeros(2, 3, 4, 4), torch.zeros(3, dtype=torch.long), 'one integer label per image'),
    (torch.zeros(2, 3, 4, 4), torch.zeros(2), 'one integer label per image'),
])
def test_rotation_mistakes_are_named(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rotate_images(images, labels)


def test_odd_sides_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match='even'):
        jigsaw_tiles(torch.zeros(1, 1, 5, 4), torch.zeros(1, dtype=torch.long))
