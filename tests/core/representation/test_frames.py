"""Frames: their defining equations, and that they are the same everywhere for one seed."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.representation import (
    batch_balanced_lengths,
    class_balanced_lengths,
    fixed_frame,
    general_orthogonal_frame,
    orthogonal_frame,
    simplex_etf,
)


@pytest.mark.parametrize(('classes', 'dim'), [(2, 1), (2, 5), (3, 2), (3, 3), (6, 5), (6, 64), (19, 18), (150, 256)])
def test_simplex_etf(classes: int, dim: int) -> None:
    frame = simplex_etf(classes, dim, seed=3)
    gram = frame.T @ frame
    expected = classes / (classes - 1) * (torch.eye(classes) - 1 / classes)
    assert frame.shape == (dim, classes) and frame.dtype == torch.float64
    assert torch.allclose(gram, expected.double(), atol=1e-12)
    assert torch.allclose(frame.sum(1), torch.zeros(dim, dtype=torch.float64), atol=1e-12)


def test_hand_example_of_three_classes() -> None:
    frame = simplex_etf(3, 4)
    gram = frame.T @ frame
    assert gram.diag().tolist() == pytest.approx([1, 1, 1])
    assert gram[0, 1].item() == pytest.approx(-0.5) and gram[1, 2].item() == pytest.approx(-0.5)


def test_orthogonal_frames() -> None:
    plain = orthogonal_frame(4, 9, 1)
    assert torch.allclose(plain.T @ plain, torch.eye(4, dtype=torch.float64), atol=1e-12)
    counts = [10_000.0, 625.0, 16.0, 0.0]
    frame = general_orthogonal_frame(counts, 6, gamma=0.25, seed=1)
    gram = frame.T @ frame
    lengths = gram.diag().sqrt()
    assert torch.allclose(gram, gram.diag().diag(), atol=1e-12)
    assert gram.diag().sum().item() == pytest.approx(4.0)
    assert (lengths / lengths[3]).tolist() == pytest.approx([10, 5, 2, 1])  # the class without a sample counts as one
    flat = general_orthogonal_frame(counts, 6, gamma=0.0, seed=1)
    assert torch.allclose(flat, orthogonal_frame(4, 6, 1), atol=1e-12)
    tail = general_orthogonal_frame([1e10, 1e2], 2, gamma=-0.25).norm(dim=0)
    assert (tail[1] / tail[0]).item() == pytest.approx(100.0)


def test_the_seed_alone_decides() -> None:
    torch.manual_seed(0)
    first, state = simplex_etf(5, 8, seed=4), torch.get_rng_state()
    torch.manual_seed(99)
    assert torch.equal(first, simplex_etf(5, 8, seed=4)) and not torch.equal(first, simplex_etf(5, 8, seed=5))
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


def test_by_name_with_the_smallest_dimension() -> None:
    assert fixed_frame('etf', 6).shape == (5, 6) and fixed_frame('of', 6).shape == (6, 6)
    assert fixed_frame('gof', 3, 8, counts=[4, 2, 1], gamma=0.25).shape == (8, 3)
    assert fixed_frame('etf', 6).dtype == torch.float32
    for wrong in ({'frame': 'gof'}, {'frame': 'etf', 'counts': [1, 2, 3]}, {'frame': 'gof', 'counts': [1, 2]}):
        with pytest.raises(ValueError, match='class'):
            fixed_frame(**{'num_classes': 3, **wrong})
    with pytest.raises(ValueError, match="'etf', 'of', 'gof'"):
        fixed_frame('simplex', 3)


def test_too_small_a_dimension_is_named() -> None:
    with pytest.raises(ValueError, match='dim >= 4'):
        simplex_etf(5, 3)
    with pytest.raises(ValueError, match='dim >= 5'):
        orthogonal_frame(5, 4)


def test_lengths_of_a_batch() -> None:
    lengths = batch_balanced_lengths(torch.tensor([0, 0, 0, 1]), 3)
    assert lengths.tolist() == pytest.approx([math.sqrt(2 / 3), math.sqrt(2), 1.0])
    ignored = batch_balanced_lengths(torch.tensor([[0, 0, 255], [0, 1, -1]]), 3)
    assert torch.equal(lengths, ignored)
    assert torch.equal(lengths, batch_balanced_lengths(torch.tensor([0, 0, 0, 1, 2]), 3, ignore_index=2))
    assert batch_balanced_lengths(torch.tensor([], dtype=torch.long), 3).tolist() == [1, 1, 1]


def test_lengths_of_a_data_set() -> None:
    assert class_balanced_lengths([90, 9, 0]).tolist() == pytest.approx(
        [math.sqrt(100 / 3 / 90), math.sqrt(100 / 3 / 9), math.sqrt(100 / 3)]
    )
