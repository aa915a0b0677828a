"""Center collapse: classify the mean feature of each class in the batch with a fixed classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.reduction import full_precision

TINY = 1e-12


def center_collapse_loss(logits: Tensor, present: Tensor, prior: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Cross-entropy with logit adjustment of one mean feature ("centre") per class.

    Row k is the centre of class k, so its label is k. With t the target distribution (``smooth`` on the class itself,
    the rest shared evenly by the others)::

        loss = - sum_{k present} sum_c t_kc log softmax(logits_k + log(prior + 1e-12))_c / sum_{k present} sum_c t_kc

    Args:
        logits: (K, K) of the centres; rows of absent classes may hold anything finite.
        present: (K,) bool: has the batch a pixel of the class?
        prior: (K,) class frequencies, at image level (how many images hold the class), sum 1.
        smooth: target of the class itself, in (0, 1]; 1 = no smoothing.

    Returns:
        float32 scalar (float64 for float64 logits); an exact 0 with a graph when no class is present.

    Raises:
        ValueError: shapes that do not fit, ``smooth`` outside.

    Source: Zhong et al., Understanding imbalanced semantic segmentation through neural collapse (CVPR 2023).
    """
    classes = logits.shape[-1]
    if tuple(logits.shape) != (classes, classes) or tuple(present.shape) != (classes,):
        raise ValueError(
            f'center_collapse_loss: expected one centre per class, logits (K, K) and present (K,), but the shapes are '
            f'{tuple(logits.shape)} and {tuple(present.shape)}.'
        )
    own = check_number('smooth', smooth, low=0.0, high=1.0, low_open=True, owner='center_collapse_loss')
    scores = full_precision(logits)
    log_prob = F.log_softmax(scores + (prior.to(scores) + TINY).log(), dim=1)
    other = (1.0 - own) / max(classes - 1, 1)
    target = torch.full_like(log_prob, other)
    target.fill_diagonal_(own)
    mask = present.to(scores.dtype)[:, None]
    return -(target * mask * log_prob).sum() / (target * mask).sum().clamp_min(TINY)
