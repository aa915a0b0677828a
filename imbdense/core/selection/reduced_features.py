"""Features of one group, standardised and reduced to their principal components."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imbdense.core.selection.streaming_pca import StreamingPCA

FLAT = 1e-6
"""A feature whose standard deviation is below this carries nothing and becomes 0."""
MAX_PCA_ROWS = 20_000


def standardize(features: Tensor) -> Tensor:
    """``(x - mean) / std`` of each column of (n, D), float32; columns with std < 1e-6 become 0.

    Mean and standard deviation (over n, not n - 1) are summed in float64.
    """
    mean = features.mean(0, dtype=torch.float64)
    centred = features - mean.float()
    std = _std(centred)
    scale = torch.where(std < FLAT, 0.0, 1.0 / std.clamp_min(FLAT))
    return centred * scale.float()


def principal_components(features: Tensor, dim: int, seed: int = 0) -> Tensor:
    """Project (n, D) on at most min(dim, n - 1, D) principal components, (n, d) float32, largest variance first.

    Exact eigenvectors (float64) of at most 20 000 rows, drawn with ``seed``; the sign is such that the largest loading
    of each component is positive. Where nothing would be left out (d = D) the columns are returned as they are: a
    rotation changes no distance.

    Args:
        features: (n, D) float32, n >= 1.
        dim: most components, >= 1.
    """
    rows, columns = features.shape
    kept = max(min(dim, rows - 1, columns), 1)
    if kept == columns:
        return features
    sample = features
    if rows > MAX_PCA_ROWS:
        drawn = np.sort(np.random.default_rng(seed).choice(rows, MAX_PCA_ROWS, replace=False))
        sample = features[torch.as_tensor(drawn, device=features.device)]
    if columns > rows:
        mean, axes = sample.mean(0), _axes_of_few_rows(sample, kept)
    else:
        fit = StreamingPCA(columns)
        fit.add(sample.cpu().numpy())
        mean, axes = (torch.from_numpy(part).to(features.device) for part in fit.axes(kept))
    return (features - mean) @ axes


def _std(centred: Tensor) -> Tensor:
    """Standard deviation in chunks: a float64 copy of a large group would double its memory."""
    squares = torch.zeros(centred.shape[1], dtype=torch.float64, device=centred.device)
    for chunk in centred.split(MAX_PCA_ROWS):
        squares += chunk.double().square().sum(0)
    return (squares / len(centred)).sqrt()


def _axes_of_few_rows(features: Tensor, kept: int) -> Tensor:
    """(D, kept) orthonormal axes of fewer rows than columns, from their (n, n) products instead of (D, D)."""
    centred = (features - features.mean(0)).double()
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    lengths = values.flip(0)[:kept].clamp_min(0).sqrt()
    axes = centred.T @ vectors.flip(1)[:, :kept]
    axes = axes / torch.where(lengths > 1e-7 * lengths[0].clamp_min(1e-30), lengths, torch.inf)
    largest = axes.gather(0, axes.abs().argmax(0)[None])
    return (axes * torch.where(largest < 0, -1.0, 1.0)).float()
