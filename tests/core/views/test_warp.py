"""Carrying values from view to view: by hand, there and back, outside, batches."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.views import view_to_view, warp_view

IDENTITY = torch.eye(3)


def shift(x: float, y: float) -> torch.Tensor:
    return torch.tensor([[1.0, 0, x], [0, 1.0, y], [0, 0, 1.0]])


def test_identity_and_shift_by_hand() -> None:
    values = torch.arange(12.0).view(1, 1, 3, 4)
    same, inside = warp_view(values, IDENTITY, (3, 4))
    assert torch.allclose(same, values) and inside.all()
    moved, inside = warp_view(values, shift(1, 0), (3, 4), fill=-1)
    assert torch.allclose(moved[0, 0, :, 1:], values[0, 0, :, :3])
    assert (moved[0, 0, :, 0] == -1).all() and not inside[0, :, 0].any() and inside[0, :, 1:].all()


def test_labels_keep_their_values_and_the_fill_marks_the_outside() -> None:
    label = torch.tensor([[[3, 7], [200, 255]]])
    flip = torch.tensor([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    flipped, inside = warp_view(label, flip, (2, 3), fill=255)
    assert flipped.tolist() == [[[7, 3, 255], [255, 200, 255]]] and flipped.dtype == torch.int64
    assert inside.tolist() == [[[True, True, False]] * 2]


def test_half_pixel_shift_is_the_mean_of_neighbours() -> None:
    values = torch.tensor([[[[0.0, 2.0, 6.0]]]])
    moved, inside = warp_view(values, shift(-0.5, 0), (1, 3), fill=-1)
    assert moved.flatten().tolist() == pytest.approx([1.0, 4.0, -1.0])
    assert inside.flatten().tolist() == [True, True, False]


def test_back_from_a_view_to_the_image() -> None:
    """A smooth image, scaled by 2 and cropped, comes back inside the crop."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing='ij')
    image = (0.3 * rows + 0.1 * columns)[None, None]
    to_view = torch.tensor([[2.0, 0, -5], [0, 2.0, -3], [0, 0, 1]])
    view, _ = warp_view(image, to_view, (18, 22))
    back, inside = warp_view(view, view_to_view(to_view, IDENTITY), (16, 20))
    assert 60 < int(inside.sum()) < 120
    inner = inside.clone()
    assert torch.allclose(back[0, 0][inner[0]], image[0, 0][inner[0]], atol=0.06)


def test_one_matrix_per_image_and_wrong_ones() -> None:
    values = torch.rand(2, 3, 4, 4)
    both, _ = warp_view(values, torch.stack([IDENTITY, shift(1, 0)]), (4, 4))
    assert torch.allclose(both[0], values[0], atol=1e-6)
    assert torch.allclose(both[1, :, :, 1:], values[1, :, :, :3], atol=1e-6)
    with pytest.raises(ValueError, match='matrix must be'):
        warp_view(values, torch.eye(3).repeat(3, 1, 1), (4, 4))


def test_gradient_goes_to_the_values() -> None:
    values = torch.rand(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor([[0.9, 0.1, 0.3], [-0.1, 1.1, 0.2], [0, 0, 1.0]])
    assert torch.autograd.gradcheck(lambda v: warp_view(v, matrix, (4, 4))[0], (values,))
