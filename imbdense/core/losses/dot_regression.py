"""Dot regression: pull a feature towards the fixed vector of its class, without pushing it from the others."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number, split_ignored
from imbdense.core.reduction import full_precision, reduce_loss

SHORTEST = 1e-8
"""A feature length below this is taken as this, as in the published code."""


def dot_regression_loss(
    features: Tensor,
    target: Tensor,
    frame: Tensor,
    *,
    lengths: Tensor | None = None,
    reg_lam: float = 0.0,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
    owner: str = '',
) -> Tensor:
    """Dot-regression loss of features against fixed classifier vectors.

    With h_i a feature, m_y = ``lengths[y] * frame[:, y]`` the vector of its class, E_H(i) = max(||h_i||, 1e-8) as a
    constant and E_W = ||m_y||::

        l_i = 1/2 (m_y^T h_i - E_W E_H(i))^2 / E_H(i) + reg_lam ||h_i||

    and the mean over the valid elements. The gradient of the first term is a pull along m_y alone, which is 0 where
    the feature points exactly at its vector. Elements that count nothing: ``ignore_index``.

    Args:
        features: (N, D, *spatial) or (P, D), float; the arithmetic is float32 (float64 stays).
        target: (N, *spatial) or (P,) class indices.
        frame: (D, K) classifier vectors, see :mod:`imbdense.core.representation.frames`.
        lengths: (K,) factor of each vector, for example ``batch_balanced_lengths(target, K)``; ``None`` = 1.
        reg_lam: >= 0, of the mean feature length.
        class_weight: (K,) weights; ``None`` = 1.
        ignore_index, weight, normalizer, avg_factor, reduction: see :func:`imbdense.core.reduction.reduce_loss`.
        owner: named in messages.

    Returns:
        float32 scalar (float64 for float64 features), 0 with a graph when nothing is valid.

    Raises:
        ValueError: shapes that do not fit, foreign labels.

    Source: Yang et al., Inducing neural collapse in imbalanced learning: do we really need a learnable classifier at
    the end of deep neural network? (NeurIPS 2022).
    """
    if frame.ndim != 2 or features.ndim < 2 or frame.shape[0] != features.shape[1]:
        raise ValueError(
            f'{owner or "dot_regression_loss"}: the frame must be (D, K) with D the channels of the features, but the '
            f'shapes are {tuple(frame.shape)} and {tuple(features.shape)}.'
        )
    features = full_precision(features)
    vectors = frame.to(features)
    with torch.autocast(features.device.type, enabled=False):
        pred = torch.einsum('nd...,dk->nk...', features, vectors)
    return dot_regression_from_logits(
        pred, target, torch.linalg.vector_norm(features, dim=1), vector_norm=vectors.norm(dim=0), lengths=lengths,
        reg_lam=reg_lam, ignore_index=ignore_index, weight=weight, class_weight=class_weight, normalizer=normalizer,
        avg_factor=avg_factor, reduction=reduction, owner=owner,
    )  # fmt: skip


def dot_regression_from_logits(
    pred: Tensor,
    target: Tensor,
    feature_norm: Tensor,
    *,
    vector_norm: Tensor | None = None,
    lengths: Tensor | None = None,
    reg_lam: float = 0.0,
    ignore_index: int = 255,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
    normalizer: str = 'weight_sum',
    avg_factor: float | Tensor | None = None,
    reduction: str = 'mean',
    owner: str = '',
) -> Tensor:
    """:func:`dot_regression_loss` for a head that hands on logits ``M^T h`` and not features.

    Args:
        pred: (N, K, *spatial) or (P, K), the products with the unscaled frame.
        target: (N, *spatial) or (P,).
        feature_norm: like ``target``, ||h||; :func:`seen_feature_norm` has it from the logits.
        vector_norm: (K,) lengths of the columns of the frame; ``None`` = 1.
        lengths: (K,) further factors; ``None`` = 1.
        others: as in :func:`dot_regression_loss`.
    """
    lam = check_number('reg_lam', reg_lam, low=0.0, owner=owner)
    logits = full_precision(pred)
    safe, valid = split_ignored(logits, target, ignore_index, owner=owner)
    product = logits.gather(1, safe.unsqueeze(1)).squeeze(1)
    length = full_precision(feature_norm)
    factor = 1.0 if lengths is None else lengths.to(logits)[safe]
    vector = factor if vector_norm is None else factor * vector_norm.to(logits)[safe]
    constant = length.detach().clamp_min(SHORTEST)
    loss = 0.5 * (factor * product - vector * constant) ** 2 / constant
    if lam > 0:
        loss = loss + lam * length
    return reduce_loss(
        loss, valid=valid, class_weight=None if class_weight is None else class_weight.to(logits)[safe],
        weight=weight, normalizer=normalizer, avg_factor=avg_factor, reduction=reduction,
    )  # fmt: skip


def seen_feature_norm(pred: Tensor, *, vector_norm: Tensor | None = None, simplex: bool = True) -> Tensor:
    """Return the length of the part of the feature that a frame can see, from the logits ``z = M^T h`` alone.

    The part of h in the span of the frame has the length ``sqrt(z^T (M^T M)^+ z)``: for a simplex ETF
    ``sqrt((K - 1) / K) ||z - mean(z)||``, for orthogonal vectors of lengths l ``||z / l||``. It is ||h|| itself when
    h has no more dimensions than the frame has rank (K - 1 for the simplex, K for orthogonal frames). Being exact for
    any linear function of h, it also holds for enlarged logit maps.

    Args:
        pred: (N, K, *spatial) or (P, K).
        vector_norm: (K,) lengths of the columns; ``None`` = 1. A simplex must have equal ones.
        simplex: ETF; ``False`` = orthogonal frame.

    Returns:
        (N, *spatial) or (P,), float32 (float64 for float64). The gradient at 0 is 0.
    """
    logits = full_precision(pred)
    if vector_norm is not None:
        scale = vector_norm.to(logits)
        logits = logits / scale.reshape(1, -1, *[1] * (logits.ndim - 2))
    if not simplex:
        return torch.linalg.vector_norm(logits, dim=1)
    classes = logits.shape[1]
    centred = logits - logits.mean(dim=1, keepdim=True)
    return ((classes - 1) / classes) ** 0.5 * torch.linalg.vector_norm(centred, dim=1)
