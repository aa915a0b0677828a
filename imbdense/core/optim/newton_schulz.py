"""Orthogonalisation of matrices: what Muon does to a momentum before it becomes an update."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""(a, b, c) of the quintic iteration: steepest at zero, so that five steps lift small singular values."""
NS_DTYPES = ('auto', 'bfloat16', 'float32', 'float64')
SCALES = ('original', 'match_rms_adamw', 'none')
EPSILON = 1e-7
GUARDED_SIZE = 256
"""Largest smaller side for which :func:`orthogonalize_guarded` takes an exact SVD."""
GUARD_RATIO = 1e-3
_ALIASES = {'bf16': 'bfloat16', 'fp32': 'float32', 'float': 'float32', 'fp64': 'float64', 'double': 'float64'}
_GRAM_SIDE, _GRAM_ASPECT, _GRAM_STEPS = 128, 2, 5


def orthogonalize(matrix: Tensor, *, steps: int = 5, dtype: str | torch.dtype = 'auto') -> Tensor:
    """Newton-Schulz iteration: keep the singular vectors, bring the singular values near one.

    ``X <- X / (||X||_F + 1e-7)``, then ``steps`` times ``A = X X^T``, ``X <- a X + (b A + c A^2) X``, on the transpose
    when the matrix is tall. The result is not U V^T: singular values of at least 1 % of ``||X||_F`` end in about
    [0.68, 1.14] after five steps, 0.1 % at 0.47, zero stays zero. ``||X||_F`` itself does not matter, until 1e-7 does.

    Wide float32 and float64 matrices (smaller side >= 128, at most half the larger) are iterated through their Gram
    matrix, ``A <- P A P`` with ``P = a + b A + c A^2`` and ``X <- P_5 ... P_1 X``: the same polynomial at a third to a
    half of the cost, since only m x m products remain. Rounding differs: up to 3e-4 (Frobenius, relative) was seen on
    matrices of numerical rank far below m, 1e-5 otherwise.

    Args:
        matrix: (..., m, n), float; leading dimensions are a batch of independent matrices.
        steps: iterations >= 1.
        dtype: arithmetic, see :func:`resolve_ns_dtype`.

    Returns:
        (..., m, n) in the dtype of ``matrix``. A zero matrix gives zeros; one with inf or NaN gives NaN and does not
        touch the others of its batch.

    Raises:
        ValueError: fewer than two dimensions, an unknown dtype, ``steps`` < 1.

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Bernstein & Newhouse, 2024.
    """
    if matrix.ndim < 2:
        raise ValueError(f'orthogonalize: expected a matrix (..., m, n), but got shape {tuple(matrix.shape)}.')
    check_integer('steps', steps, low=1, owner='orthogonalize')
    x = matrix.reshape(-1, *matrix.shape[-2:]).to(resolve_ns_dtype(dtype, matrix))
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + EPSILON)
    x = _through_gram(x, steps) if _gram_pays(x, steps) else _direct(x, steps)
    return (x.mT if tall else x).reshape(matrix.shape).to(matrix.dtype)


def orthogonalize_guarded(matrix: Tensor, *, steps: int = 5, dtype: str | torch.dtype = 'auto') -> Tensor:
    """Like :func:`orthogonalize`, but directions of tiny singular values become zero instead of noise.

    For a smaller side up to 256 the result is ``U_r V_r^T`` of an exact SVD in float32 (float64 for float64), with the
    directions where ``sigma_i >= 1e-3 * sigma_1``; larger matrices are iterated without a guard. Meant for
    classifiers: a batch with few classes gives them a gradient of low rank, and the iteration lifts the rounding noise
    of the other directions (a rank-1 4 x 3 matrix in bfloat16 came out with a second singular value of 0.72).

    Arguments and result as in :func:`orthogonalize`.
    """
    if matrix.ndim < 2 or min(matrix.shape[-2:]) > GUARDED_SIZE:
        return orthogonalize(matrix, steps=steps, dtype=dtype)
    x = matrix if matrix.dtype == torch.float64 else matrix.float()
    finite = torch.isfinite(x).all(-1).all(-1)[..., None, None]
    u, sigma, vh = torch.linalg.svd(torch.where(finite, x, 0.0), full_matrices=False)
    kept = (sigma >= GUARD_RATIO * sigma[..., :1]) & (sigma > 0)
    ortho = (u * kept[..., None, :]) @ vh
    return torch.where(finite, ortho, math.nan).to(matrix.dtype)


def resolve_ns_dtype(name: str | torch.dtype, matrix: Tensor) -> torch.dtype:
    """The dtype to iterate ``matrix`` in.

    'bfloat16', 'float32', 'float64' (or the torch dtypes, or 'bf16', 'fp32', 'fp64'); 'auto' = float64 for a float64
    matrix, bfloat16 on CUDA devices of compute capability 8.0 and above, otherwise float32: on most CPUs bfloat16
    products are slow (not with AVX512-BF16 or AMX), and the result is 1-2 % off, far more where the rank is low.
    """
    chosen = normalise_ns_dtype(name)
    if chosen != 'auto':
        return getattr(torch, chosen)
    if matrix.dtype == torch.float64:
        return torch.float64
    if matrix.is_cuda and torch.cuda.get_device_capability(matrix.device) >= (8, 0):
        return torch.bfloat16
    return torch.float32


def normalise_ns_dtype(name: str | torch.dtype) -> str:
    """One of :data:`NS_DTYPES` for any accepted spelling; ``ValueError`` otherwise."""
    spelled = str(name).removeprefix('torch.')
    return str(check_choice('ns_dtype', _ALIASES.get(spelled, spelled), NS_DTYPES))


def update_scale(rows: int, columns: int, scale: str) -> float:
    """Factor s of an orthogonal update of a (rows, columns) matrix, rows = output features.

    'original': sqrt(max(1, rows / columns)) (Jordan); 'match_rms_adamw': 0.2 sqrt(max(rows, columns)), which gives the
    update the root mean square of an AdamW update, so that its lr and weight decay can be kept (Liu et al., Muon is
    scalable for LLM training, 2025); 'none': 1.
    """
    check_choice('scale', scale, SCALES)
    if scale == 'original':
        return math.sqrt(max(1.0, rows / columns))
    return 0.2 * math.sqrt(max(rows, columns)) if scale == 'match_rms_adamw' else 1.0


def _direct(x: Tensor, steps: int) -> Tensor:
    """The iteration as published."""
    a, b, c = NS_COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x


def _through_gram(x: Tensor, steps: int) -> Tensor:
    """The same polynomial of X, collected in m x m matrices and applied once."""
    a, b, c = NS_COEFFICIENTS
    gram = x @ x.mT
    total: Tensor | None = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        total = factor if total is None else factor @ total
        if step + 1 < steps:
            gram = factor @ gram @ factor
    return x if total is None else total @ x


def _gram_pays(x: Tensor, steps: int) -> bool:
    """Whether the Gram form is cheaper and safe: more than five steps would amplify its rounding errors."""
    rows, columns = x.shape[-2:]
    wide = rows >= _GRAM_SIDE and columns >= _GRAM_ASPECT * rows
    return wide and steps <= _GRAM_STEPS and x.dtype in (torch.float32, torch.float64)
