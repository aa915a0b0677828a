"""Neural collapse: how far features and classifier are from the geometry that long training ends in.

NC1: the features of a class become equal. NC2: class means and classifier vectors become a simplex ETF (balanced data,
cross-entropy) or orthogonal with lengths by class count (squared error, imbalanced data). NC3: the classifier vectors
become the class means. NC4: the classifier decides like the nearest class mean. On imbalanced data the vectors of
rare classes come close to each other or vanish: minority collapse. Sources: Papyan et al. (PNAS 2020), Zhu et al.
(NeurIPS 2021) for the measures; Fang et al. (PNAS 2021) for minority collapse; Dang et al. (ICML 2023) for the
geometry on imbalanced data.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imbdense.core.metrics.class_scatter import ClassScatter
from imbdense.core.metrics.collapse_targets import CollapseTarget, collapse_target

RCOND = 1e-6
NAN = float('nan')


@dataclass(frozen=True)
class CollapseMeasures:
    """Measures of one state of a network. Every number is 0 at perfect collapse unless said otherwise.

    Attributes:
        scalars: name -> value, NaN where undefined:
            ``nc1``, ``nc1_light``: within-class over between-class variation of the features;
            ``nc2_etf_w``, ``nc2_etf_h``, ``nc2_of_w``, ``nc2_of_h``: distance of classifier (w) and class means (h)
            from a simplex ETF and from an orthogonal frame, in [0, 2];
            ``nc2_offdiag_w``, ``nc2_offdiag_h``: how far from orthogonal, whatever the lengths, in [0, 1];
            ``nc2_gof_w``, ``nc2_gof_h``, ``nc3_gof``: distance from the exact optimum; only with weight decays;
            ``nc3_etf``: distance of W H from a simplex ETF;
            ``nc4``: share of samples where classifier and nearest class mean disagree; only with samples;
            ``tail_angle``: smallest angle in degrees between classifier vectors of two tail classes (0 = merged;
            arccos(-1 / (K - 1)) for a simplex); a vector of length 0 has the angle 0 to all;
            ``tail_head_norm_w``, ``tail_head_norm_h``: mean length of the tail's vectors over that of the head's.
        weight_norm, mean_norm: (K,) lengths of classifier vectors and class means (NaN for a class not seen).
        counts: (K,) samples per class.
        excluded: classes with fewer than two samples, left out of NC1.
        tail, head: classes behind the tail measures.
        survival: (K,) n_k / (N^2 lambda_W lambda_H), <= 1 predicts minority collapse; ``None`` without weight decay.
        projected: NC1 was computed in a random projection of wide features.
    """

    scalars: dict[str, float]
    weight_norm: list[float]
    mean_norm: list[float]
    counts: list[int]
    excluded: list[int]
    tail: list[int]
    head: list[int]
    survival: list[float] | None
    projected: bool


def neural_collapse(
    stats: ClassScatter,
    weight: Tensor,
    *,
    weight_decay: tuple[float, float] | None = None,
    center: bool = True,
    tail: Sequence[int] | None = None,
    head: Sequence[int] | None = None,
    disagreement: tuple[int, int] | None = None,
) -> CollapseMeasures:
    """Return all measures of a state.

    Args:
        stats: statistics of the last features over all ranks.
        weight: (K, d) of the last linear layer (a 1 x 1 convolution flattened).
        weight_decay: (lambda_W, lambda_H) > 0 of the theory; ``None`` leaves out what needs it.
        center: subtract the global mean from the class means in NC1; ``False`` for squared error on imbalanced data.
        tail, head: class indices; ``None`` = :func:`tail_and_head` of ``stats.counts``.
        disagreement: (disagreeing, all) samples for NC4, from :func:`count_disagreements`.

    Raises:
        ValueError: ``weight`` does not fit the statistics, or a weight decay <= 0.

    Fewer than two usable classes make a measure NaN with a warning, never an error.
    """
    vectors = weight.detach().to('cpu', torch.float64)
    if tuple(vectors.shape) != (stats.num_classes, stats.dim):
        raise ValueError(
            f'neural_collapse: weight must be ({stats.num_classes}, {stats.dim}) like the statistics, but is '
            f'{tuple(vectors.shape)}.'
        )
    seen = stats.counts > 0
    target = None
    if weight_decay is not None and stats.total > 0:
        target = collapse_target(stats.counts.numpy(), weight_decay[0], weight_decay[1])
    scalars = {
        **dict(zip(('nc1', 'nc1_light'), within_class_variation(stats, center=center))),
        **_geometry(stats, vectors, seen, target),
    }
    if disagreement is not None:
        scalars['nc4'] = disagreement[0] / disagreement[1] if disagreement[1] else NAN
    found_tail, found_head = tail_and_head(stats.counts.tolist())
    rare, frequent = list(found_tail if tail is None else tail), list(found_head if head is None else head)
    weight_norm = vectors.norm(dim=1)
    mean_norm = torch.where(seen, stats.means.norm(dim=1), NAN)
    scalars['tail_angle'] = smallest_angle(vectors[rare])
    scalars['tail_head_norm_w'] = _ratio(weight_norm, rare, frequent)
    scalars['tail_head_norm_h'] = _ratio(mean_norm, rare, frequent)
    return CollapseMeasures(
        scalars, weight_norm.tolist(), mean_norm.tolist(), stats.counts.tolist(),
        torch.nonzero(stats.counts < 2).flatten().tolist(), rare, frequent,
        None if target is None else target.survival.tolist(), stats.projected,
    )  # fmt: skip


def within_class_variation(stats: ClassScatter, *, center: bool = True) -> tuple[float, float]:
    """Return NC1 and its light form over the K' classes with at least two samples.

    ``NC1 = tr(S_W S_B^+) / K'`` with ``S_W = N^-1 sum (h - h_k)(h - h_k)^T`` and ``S_B = K'^-1 sum_k (h_k - h_G)(h_k -
    h_G)^T``, h_G the mean over samples (0 with ``center=False``), pseudo-inverse with rcond 1e-6; ``nc1_light = tr S_W
    / tr S_B``. NaN with a warning when K' < 2, or when all class means are equal.
    """
    used = stats.counts >= 2
    classes = int(used.sum())
    if classes < 2:
        warnings.warn(f'NC1 needs two classes with two samples each, but there are {classes}.', stacklevel=2)
        return NAN, NAN
    counts = stats.counts[used].to(torch.float64)
    means = stats.means[used]
    total = counts.sum()
    centre = (counts[:, None] * means).sum(0) / total if center else 0.0
    spread = means - centre
    between_trace = float(spread.square().sum() / classes)
    if between_trace == 0:
        warnings.warn('NC1 is undefined: all class means are equal.', stacklevel=2)
        return NAN, NAN
    within_trace = float(stats.traces[used].sum() / total)
    seen = spread if stats.projection is None else spread @ stats.projection
    between = seen.T @ seen / classes
    within = stats.scatter / total
    nc1 = float((within * torch.linalg.pinv(between, rtol=RCOND, hermitian=True).T).sum() / classes)
    return nc1, within_trace / between_trace


def frame_distance(gram: Tensor, ideal: Tensor) -> float:
    """Return ``|| G / ||G||_F - D / ||D||_F ||_F`` of two (K, K) matrices, NaN when one of them is 0."""
    size, ideal_size = gram.norm(), ideal.norm()
    if float(size) == 0 or float(ideal_size) == 0:
        return NAN
    return float((gram / size - ideal / ideal_size).norm())


def smallest_angle(vectors: Tensor) -> float:
    """Return the smallest angle in degrees between two of the rows; NaN for fewer than two; 0 if one has length 0."""
    if vectors.shape[0] < 2:
        return NAN
    length = vectors.norm(dim=1)
    if bool((length == 0).any()):
        return 0.0
    unit = vectors / length[:, None]
    i, j = torch.triu_indices(unit.shape[0], unit.shape[0], offset=1)
    # atan2 of chord lengths: arccos loses half of the digits near 0 and 180 degrees.
    apart, along = (unit[i] - unit[j]).norm(dim=1), (unit[i] + unit[j]).norm(dim=1)
    return float(torch.rad2deg(2 * torch.atan2(apart, along)).min())


def tail_and_head(counts: Sequence[float]) -> tuple[list[int], list[int]]:
    """Return the rarest third (at least two) and the most frequent third (at least one) of the classes that occur."""
    order = [c for c in sorted(range(len(counts)), key=lambda c: counts[c]) if counts[c] > 0]
    third = max(round(len(order) / 3), 1)
    return sorted(order[: max(third, 2)]), sorted(order[-third:])


@torch.no_grad()
def count_disagreements(
    features: Tensor, labels: Tensor, means: Tensor, counts: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[int, int]:
    """Return (samples whose ``argmax(W h + b)`` is not the class of the nearest class mean, all samples).

    Both decide among the classes that were seen (``counts`` > 0). Samples labelled outside [0, K) are left out.

    Args:
        features: (P, d). labels: (P,). means: (K, d). counts: (K,). weight: (K, d). bias: (K,) or ``None``.
    """
    known = (labels >= 0) & (labels < means.shape[0])
    samples = features[known].to('cpu', torch.float64)
    absent = (counts == 0).to('cpu')
    if samples.shape[0] == 0 or bool(absent.all()):
        return 0, 0
    scores = samples @ weight.to('cpu', torch.float64).T
    if bias is not None:
        scores = scores + bias.to('cpu', torch.float64)
    decided = scores.masked_fill(absent, -torch.inf).argmax(1)
    # The fast mode of cdist subtracts large squares and loses the small distances.
    apart = torch.cdist(samples, means.to('cpu', torch.float64), compute_mode='donot_use_mm_for_euclid_dist')
    nearest = apart.masked_fill(absent, torch.inf).argmin(1)
    return int((decided != nearest).sum()), samples.shape[0]


def _geometry(stats: ClassScatter, vectors: Tensor, seen: Tensor, target: CollapseTarget | None) -> dict[str, float]:
    """NC2 of the classifier over all classes; NC2 of the means and NC3 over the classes that were seen."""
    found = {f'{name}_w': value for name, value in _frame_measures(vectors, vectors).items()}
    names = ('nc2_etf_h', 'nc2_of_h', 'nc2_offdiag_h', 'nc3_etf', 'nc2_gof_w', 'nc2_gof_h', 'nc3_gof')
    found |= dict.fromkeys(names[:4] if target is None else names, NAN)
    if target is not None:
        found['nc2_gof_w'] = frame_distance(vectors @ vectors.T, torch.from_numpy(np.diag(target.weight)))
    classes = int(seen.sum())
    if classes < 2:
        warnings.warn(f'NC2 of the features and NC3 need two classes, but {classes} were seen.', stacklevel=2)
        return found
    means, rows = stats.means[seen], vectors[seen]
    centre = (stats.counts.to(torch.float64)[:, None] * stats.means).sum(0) / stats.total
    found |= {f'{name}_h': value for name, value in _frame_measures(means, means - centre).items()}
    found['nc3_etf'] = frame_distance(rows @ (means - centre).T, _simplex(classes))
    if target is not None:
        kept = seen.numpy()
        found['nc2_gof_h'] = frame_distance(means @ means.T, torch.from_numpy(np.diag(target.mean[kept])))
        found['nc3_gof'] = frame_distance(rows @ means.T, torch.from_numpy(np.diag(target.product[kept])))
    return found


def _frame_measures(vectors: Tensor, centred: Tensor) -> dict[str, float]:
    """Distances of rows from a simplex ETF (``centred``) and from orthogonality (``vectors``)."""
    if vectors.shape[0] < 2:
        return {'nc2_etf': NAN, 'nc2_of': NAN, 'nc2_offdiag': NAN}
    gram = vectors @ vectors.T
    size = float(gram.norm())
    return {
        'nc2_etf': frame_distance(centred @ centred.T, _simplex(len(gram))),
        'nc2_of': frame_distance(gram, torch.eye(len(gram), dtype=gram.dtype)),
        'nc2_offdiag': float((gram - gram.diag().diag()).norm()) / size if size else NAN,
    }


def _simplex(classes: int) -> Tensor:
    """The Gram matrix I - 11^T / K of a simplex ETF, but for its scale."""
    return torch.eye(classes, dtype=torch.float64) - 1.0 / classes


def _ratio(lengths: Tensor, tail: Sequence[int], head: Sequence[int]) -> float:
    """Mean length of the tail's vectors over that of the head's, of those that are known; NaN without any."""
    if not tail or not head:
        return NAN
    below = float(lengths[list(head)].nanmean())
    return float(lengths[list(tail)].nanmean()) / below if below else NAN
