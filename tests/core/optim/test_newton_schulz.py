"""The iteration against an SVD, the published recursion, and its edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imbdense.core.optim import orthogonalize, orthogonalize_guarded, update_scale
from imbdense.core.optim.newton_schulz import NS_COEFFICIENTS, normalise_ns_dtype, resolve_ns_dtype

SHAPES = [(16, 32), (64, 32), (128, 512), (40, 300), (9, 9)]


def random(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_svd(matrix: Tensor, steps: int = 5) -> Tensor:
    """The slow reference: the scalar recursion on each singular value."""
    a, b, c = NS_COEFFICIENTS
    u, sigma, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    sigma = sigma / (matrix.double().norm() + 1e-7)
    for _ in range(steps):
        sigma = a * sigma + b * sigma**3 + c * sigma**5
    return (u * sigma) @ vh


def gap(found: Tensor, wanted: Tensor) -> float:
    """Relative Frobenius distance."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def test_hand_example() -> None:
    """.7071 -> 1.1065 -> .7121 -> 1.1006 -> .7058 -> 1.1081 for both singular values of the unit matrix."""
    for steps, value in enumerate([1.1065, 0.7121, 1.1006, 0.7058, 1.1081], start=1):
        assert torch.allclose(orthogonalize(torch.eye(2), steps=steps), value * torch.eye(2), atol=5e-5)


@pytest.mark.parametrize('shape', SHAPES)
def test_equals_the_scalar_recursion(shape: tuple[int, int]) -> None:
    assert gap(orthogonalize(random(shape)), by_svd(random(shape))) < 2e-5
    double = random(shape, dtype=torch.float64)
    assert gap(orthogonalize(double), by_svd(double)) < 1e-9


@pytest.mark.parametrize('shape', SHAPES)
def test_close_to_the_orthogonal_factor_also_in_bfloat16(shape: tuple[int, int]) -> None:
    matrix = random(shape)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    exact = orthogonalize(matrix, dtype='float32')
    half = orthogonalize(matrix, dtype='bfloat16')
    cosine = torch.nn.functional.cosine_similarity(exact.flatten(), (u @ vh).flatten(), dim=0)
    print(f'{shape}: cosine with U V^T {cosine:.4f}, bf16 off by {gap(half, exact):.4f}')
    assert cosine >= 0.95 and gap(half, exact) <= 0.12 and half.dtype == torch.float32


@pytest.mark.parametrize(('low', 'ends'), [(0.01, (0.66, 1.15)), (0.001, (0.45, 0.49))])
def test_small_singular_values_are_lifted(low: float, ends: tuple[float, float]) -> None:
    """1 % of the norm ends in [.68, 1.14], 0.1 % at .47."""
    other = math.sqrt(1 - low**2)
    found = orthogonalize(torch.diag(torch.tensor([other, low], dtype=torch.float64)))[1, 1]
    assert ends[0] <= float(found) <= ends[1]


@pytest.mark.parametrize('kind', ['full rank', 'rank 6', 'eight decades'])
def test_gram_form_is_the_same_polynomial(kind: str) -> None:
    """128 x 512 goes through the Gram matrix; matrices of low rank are its hard case."""
    matrix = random((128, 512))
    if kind == 'rank 6':
        matrix = random((128, 6)) @ random((6, 512), 1)
    if kind == 'eight decades':
        u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
        matrix = (u * torch.logspace(0, -8, 128)) @ vh
    double = orthogonalize(matrix.double())
    assert gap(orthogonalize(matrix), double) < (3e-5 if kind == 'full rank' else 5e-4)
    assert torch.equal(orthogonalize(matrix.T), orthogonalize(matrix).T)


def test_many_steps_stay_bounded_on_low_rank() -> None:
    """Rounding errors in the Gram matrix grow twelvefold a step, so more than five steps are done directly."""
    assert float(orthogonalize(random((128, 4)) @ random((4, 512), 1), steps=12).abs().max()) < 1.3


def test_batch_equals_loop() -> None:
    for shape in SHAPES:
        batch = random((2, 3, *shape))
        loop = torch.stack([orthogonalize(matrix) for matrix in batch.flatten(0, 1)]).view_as(batch)
        assert gap(orthogonalize(batch), loop) <= 1e-6


def test_transposing_and_scaling() -> None:
    matrix = random((12, 30))
    assert torch.allclose(orthogonalize(matrix.T), orthogonalize(matrix).T, atol=1e-6)
    assert torch.allclose(orthogonalize(1000 * matrix), orthogonalize(matrix), atol=1e-5)


def test_rotation_equivariance() -> None:
    matrix = random((12, 12), dtype=torch.float64)
    left, right = (torch.linalg.qr(random((12, 12), seed, torch.float64))[0] for seed in (1, 2))
    assert torch.allclose(orthogonalize(left @ matrix @ right), left @ orthogonalize(matrix) @ right, atol=1e-10)


def test_zero_and_not_finite() -> None:
    batch = torch.stack([torch.zeros(3, 4), random((3, 4)), torch.full((3, 4), float('nan')), random((3, 4), 1)])
    batch[3, 0, 0] = float('inf')
    for turn in (orthogonalize, orthogonalize_guarded):
        found = turn(batch)
        assert (found[0] == 0).all() and torch.isfinite(found[1]).all()
        assert not torch.isfinite(found[2]).any() and not torch.isfinite(found[3]).all()
        assert torch.allclose(found[1], turn(batch[1]), atol=1e-6)


def test_guard_keeps_the_rank() -> None:
    """A rank-1 gradient in bfloat16: the iteration makes a direction of rounding noise, the guard does not."""
    matrix = torch.outer(random((40,)), random((9,), 1))
    noisy = torch.linalg.svdvals(orthogonalize(matrix, dtype='bfloat16'))
    guarded = torch.linalg.svdvals(orthogonalize_guarded(matrix, dtype='bfloat16'))
    print(f'second singular value {noisy[1]:.3f}, guarded {guarded[1]:.1e}')
    assert noisy[1] > 0.1
    assert guarded[0] == pytest.approx(1.0, abs=1e-5) and guarded[1] < 1e-5


def test_guard_of_a_full_matrix_is_the_orthogonal_factor() -> None:
    matrix = random((20, 30))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.allclose(orthogonalize_guarded(matrix), u @ vh, atol=1e-5)
    large = random((257, 260))
    assert torch.equal(orthogonalize_guarded(large), orthogonalize(large))


def test_scales() -> None:
    assert update_scale(32, 2, 'original') == 4 and update_scale(2, 32, 'original') == 1
    assert update_scale(32, 2, 'match_rms_adamw') == pytest.approx(1.1314, abs=1e-4)
    assert update_scale(7, 3, 'none') == 1


def test_match_rms_scale_gives_the_update_an_rms_of_a_fifth() -> None:
    """What the name promises: about 0.2 per unit of learning rate, as AdamW has."""
    for shape in SHAPES:
        update = update_scale(*shape, 'match_rms_adamw') * orthogonalize(random(shape))
        assert 0.15 < float(update.square().mean().sqrt()) < 0.23


def test_dtypes() -> None:
    assert resolve_ns_dtype('auto', torch.zeros(1)) == torch.float32
    assert resolve_ns_dtype('auto', torch.zeros(1, dtype=torch.bfloat16)) == torch.float32
    assert resolve_ns_dtype('auto', torch.zeros(1, dtype=torch.float64)) == torch.float64
    assert resolve_ns_dtype(torch.bfloat16, torch.zeros(1)) == resolve_ns_dtype('bf16', torch.zeros(1))
    assert orthogonalize(random((4, 5), dtype=torch.bfloat16)).dtype == torch.bfloat16
    with pytest.raises(ValueError, match='ns_dtype must be one of'):
        normalise_ns_dtype('int8')


@pytest.mark.parametrize(('arguments', 'word'), [({'steps': 0}, 'steps'), ({'dtype': 'half'}, 'ns_dtype')])
def test_bad_arguments(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        orthogonalize(torch.eye(2), **arguments)
    with pytest.raises(ValueError, match='shape'):
        orthogonalize(torch.ones(3))
    with pytest.raises(ValueError, match='scale'):
        update_scale(1, 1, 'spectral')
