"""How well the embeddings of two views of an image agree: SimSiam, InfoNCE, DenseCL's matching, signs of collapse."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.reduction import full_precision, zero_with_graph


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """D(p, z) = - mean_i <p_i, z_i> / (|p_i| |z_i|), the target taken as a constant (SimSiam's stop-gradient).

    Args:
        prediction, target: (N, D), any float dtype; computed in float32 (float64 stays).

    Returns:
        Scalar in [-1, 1]; an exact 0 with a graph for N = 0.

    Raises:
        ValueError: the shapes differ.

    Source: Chen and He, Exploring simple Siamese representation learning, CVPR 2021.
    """
    if prediction.shape != target.shape or prediction.ndim != 2:
        raise ValueError(
            f'negative_cosine: expected two (N, D) of one shape, got {tuple(prediction.shape)}, {tuple(target.shape)}.'
        )
    if prediction.shape[0] == 0:
        return zero_with_graph(prediction)
    left, right = full_precision(prediction), full_precision(target.detach())
    return -F.cosine_similarity(left, right, dim=1, eps=1e-8).mean()


def info_nce(query: Tensor, positive: Tensor, negatives: Tensor, *, temperature: float = 0.2) -> Tensor:
    """Cross-entropy of finding the positive key among the negatives.

    ``L = - mean_i log( exp(q_i k_i / T) / (exp(q_i k_i / T) + sum_j exp(q_i n_j / T)) )``

    Args:
        query: (P, D), unit vectors, with graph.
        positive: (P, D), unit vectors; taken as constants.
        negatives: (K, D), unit vectors, the same for all queries; taken as constants. K = 0 gives 0.
        temperature: T > 0.

    Returns:
        float32 scalar (float64 for float64 queries), also under autocast; an exact 0 with a graph for P = 0.

    Raises:
        ValueError: the shapes do not fit.

    Source: He et al., MoCo, CVPR 2020; Chen et al., MoCo v2, 2020.
    """
    check_number('temperature', temperature, low=0.0, low_open=True, owner='info_nce')
    if query.ndim != 2 or query.shape != positive.shape or negatives.shape[1:] != query.shape[1:]:
        raise ValueError(
            f'info_nce: expected query and positive (P, D) and negatives (K, D), got {tuple(query.shape)}, '
            f'{tuple(positive.shape)} and {tuple(negatives.shape)}.'
        )
    if query.shape[0] == 0:
        return zero_with_graph(query)
    with torch.autocast(query.device.type, enabled=False):
        own = full_precision(query)
        agree = (own * positive.detach().to(own.dtype)).sum(1, keepdim=True)
        logits = torch.cat([agree, own @ negatives.detach().to(own.dtype).T], dim=1) / temperature
        return F.cross_entropy(logits, logits.new_zeros(logits.shape[0], dtype=torch.int64))


@torch.no_grad()
def match_locations(query: Tensor, key: Tensor) -> Tensor:
    """For each location of one view the location of the other view with the largest cosine of the features.

    ``c_i = argmax_j <f_i, f'_j> / (|f_i| |f'_j|)``; of equal ones the first.

    Args:
        query: (N, C, S) features of S locations.
        key: (N, C, S') of the other view.

    Returns:
        (N, S) int64 in [0, S').

    Raises:
        ValueError: the shapes do not fit.

    Source: Wang et al., Dense contrastive learning (DenseCL), CVPR 2021.
    """
    if query.ndim != 3 or key.ndim != 3 or query.shape[:2] != key.shape[:2] or key.shape[2] == 0:
        raise ValueError(
            f'match_locations: expected (N, C, S) and (N, C, S\'), got {tuple(query.shape)} and {tuple(key.shape)}.'
        )
    with torch.autocast(query.device.type, enabled=False):
        left, right = F.normalize(full_precision(query), dim=1), F.normalize(full_precision(key), dim=1)
        return torch.einsum('ncs,nct->nst', left, right.to(left.dtype)).argmax(2)


@torch.no_grad()
def embedding_spread(embeddings: Tensor) -> Tensor:
    """Standard deviation of normalised embeddings over the batch: 1 = all directions alike, 0 = collapsed to a point.

    ``sqrt(D) * mean_d std_i( z_id / |z_i| )``; the population's standard deviation. Unit vectors that are spread
    evenly over all directions have 1 / sqrt(D) per dimension, hence the factor.

    Args:
        embeddings: (N, D).

    Returns:
        float32 scalar; 0 for fewer than two rows.

    Source: Chen and He, SimSiam, CVPR 2021 (their figure 2).
    """
    if embeddings.ndim != 2:
        raise ValueError(f'embedding_spread: expected (N, D), got {tuple(embeddings.shape)}.')
    if embeddings.shape[0] < 2:
        return embeddings.new_zeros((), dtype=torch.float32)
    unit = F.normalize(embeddings.detach().float(), dim=1)
    return unit.std(0, correction=0).mean() * math.sqrt(embeddings.shape[1])
