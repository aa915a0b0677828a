"""Dot regression: hand examples, a slow reference, its gradient, and the form on logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imbdense.core.losses import dot_regression_from_logits, dot_regression_loss, seen_feature_norm
from imbdense.core.representation import batch_balanced_lengths, fixed_frame, simplex_etf

CLASSES = 5


def example(
    shape: tuple[int, ...] = (3, 4, 5), dim: int = 7, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Features (N, D, *spatial) and labels, some of them ignored."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(shape[0], dim, *shape[1:], generator=generator, dtype=dtype)
    target = torch.randint(0, CLASSES, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < 0.2] = 255
    return features.requires_grad_(), target


def slow(features: Tensor, target: Tensor, frame: Tensor, lengths: Tensor, reg_lam: float) -> Tensor:
    """One feature at a time."""
    terms = []
    for h, y in zip(features.movedim(1, -1).reshape(-1, features.shape[1]), target.flatten().tolist()):
        if y == 255:
            continue
        vector = lengths[y] * frame[:, y]
        length = h.detach().norm().clamp_min(1e-8)
        terms.append(0.5 * (vector @ h - vector.norm() * length) ** 2 / length + reg_lam * h.norm())
    return torch.stack(terms).mean()


def test_hand_example() -> None:
    frame = simplex_etf(3, 3)
    label = torch.tensor([1])
    assert dot_regression_loss(2 * frame[:, 1][None], label, frame).item() == pytest.approx(0, abs=1e-12)
    assert dot_regression_loss(-frame[:, 1][None], label, frame).item() == pytest.approx(2.0)


@pytest.mark.parametrize('shape', [(40,), (3, 4, 5), (2, 3, 2, 4)])
@pytest.mark.parametrize('reg_lam', [0.0, 0.3])
def test_against_a_slow_reference(shape: tuple[int, ...], reg_lam: float) -> None:
    features, target = example(shape)
    frame = 1.7 * simplex_etf(CLASSES, 7)
    lengths = batch_balanced_lengths(target, CLASSES).double()
    value = dot_regression_loss(features, target, frame, lengths=lengths, reg_lam=reg_lam)
    reference = slow(features, target, frame, lengths, reg_lam)
    assert value.item() == pytest.approx(reference.item(), rel=1e-12)
    (got,) = torch.autograd.grad(value, features)
    (expected,) = torch.autograd.grad(reference, features)
    assert torch.allclose(got, expected, atol=1e-12)


def test_the_gradient_pulls_along_the_own_vector_only() -> None:
    features, target = example((40,))
    frame = simplex_etf(CLASSES, 7)
    dot_regression_loss(features, target, frame).backward()
    own = frame.T[target.clamp_max(CLASSES - 1)]
    along = (features.grad * own).sum(1, keepdim=True) * own
    assert torch.allclose(features.grad, along, atol=1e-12)
    assert ((features.grad * own).sum(1)[target != 255] <= 0).all()  # a step against it moves towards the vector


def test_lengths_of_a_batch_are_class_weights() -> None:
    """The published E_W multiply the term of class c by E_W(c)^2 = (B / U) / count_c."""
    features, target = example((200,))
    frame = simplex_etf(CLASSES, 7)
    lengths = batch_balanced_lengths(target, CLASSES)
    value = dot_regression_loss(features, target, frame, lengths=lengths)
    each = dot_regression_loss(features, target, frame, reduction='none')
    counts = torch.bincount(target[target != 255])
    per_class = torch.stack([each[target == c].mean() for c in range(CLASSES)])
    assert (counts > 0).all() and value.item() == pytest.approx(per_class.mean().item(), rel=1e-6)


def test_gradcheck_of_the_regulariser_and_of_the_pull() -> None:
    """Numerical differences would also move E_H, which the method holds constant; it is given here."""
    frame, label = simplex_etf(3, 4), torch.tensor([0, 2])
    h = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    constant = torch.tensor([1.3, 0.8], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: dot_regression_from_logits(x @ frame, label, constant, lengths=torch.tensor([1.0, 1.0, 2.0])), (h,)
    )
    assert torch.autograd.gradcheck(lambda x: seen_feature_norm(x @ frame), (h,))


@pytest.mark.parametrize('name', ['etf', 'of', 'gof'])
def test_on_logits_it_is_the_same_where_the_frame_sees_the_whole_feature(name: str) -> None:
    counts = [500, 100, 20, 4, 1] if name == 'gof' else None
    frame = fixed_frame(name, CLASSES, counts=counts, gamma=0.25).double()
    features, target = example(dim=frame.shape[0])
    vector = frame.norm(dim=0)
    pred = torch.einsum('nd...,dk->nk...', features, frame)
    norm = seen_feature_norm(pred, vector_norm=vector, simplex=name == 'etf')
    assert torch.allclose(norm, features.norm(dim=1), atol=1e-6)
    on_logits = dot_regression_from_logits(pred, target, norm, vector_norm=vector)
    on_features = dot_regression_loss(features, target, frame)
    assert on_logits.item() == pytest.approx(on_features.item(), rel=1e-6)
    grads = [torch.autograd.grad(value, features, retain_graph=True)[0] for value in (on_logits, on_features)]
    assert torch.allclose(*grads, atol=1e-6)


def test_in_wider_features_the_seen_part_counts() -> None:
    frame = simplex_etf(4, 9)
    features = torch.randn(30, 9, dtype=torch.float64)
    seen = (torch.linalg.pinv(frame.T) @ (frame.T @ features.T)).norm(dim=0)
    assert torch.allclose(seen_feature_norm(features @ frame), seen) and (seen <= features.norm(dim=1)).all()


def test_zero_features_ignored_pixels_and_empty_batches() -> None:
    frame = simplex_etf(CLASSES, 7)
    zero = torch.zeros(4, 7, requires_grad=True)
    value = dot_regression_loss(zero, torch.tensor([0, 1, 2, 3]), frame, reg_lam=0.1)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(zero.grad).all()
    features, target = example()
    nothing = dot_regression_loss(features, torch.full_like(target, 255), frame)
    nothing.backward()
    assert nothing.item() == 0 and (features.grad == 0).all()
    empty = torch.zeros(0, 7, requires_grad=True)
    dot_regression_loss(empty, torch.zeros(0, dtype=torch.long), frame).backward()
    assert empty.grad is not None


def test_half_precision_is_computed_in_full() -> None:
    features, target = example(dtype=torch.float32)
    frame = simplex_etf(CLASSES, 7)
    exact = dot_regression_loss(features, target, frame)
    with torch.autocast('cpu', torch.bfloat16):
        inside = dot_regression_loss(features, target, frame)
    assert inside.dtype == torch.float32 and inside.item() == pytest.approx(exact.item(), rel=1e-5)


def test_shapes_are_named() -> None:
    features, target = example()
    with pytest.raises(ValueError, match=r'\(D, K\)'):
        dot_regression_loss(features, target, simplex_etf(CLASSES, 8))
    with pytest.raises(ValueError, match='77'):
        dot_regression_loss(features, target.fill_(77), simplex_etf(CLASSES, 7))
