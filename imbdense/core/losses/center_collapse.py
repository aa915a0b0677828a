"""Center collapse: classify the mean feature of each class in the batch with a fixed classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses.cross_entropy import shifted_cross_entropy
from imbdense.core.reduction import full_precision

TINY = 1e-12


def center_collapse_loss(logits: Tensor, labels: Tensor, prior: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Cross-entropy with logit adjustment of one mean feature ("centre") per class that is present.

    With t_r the target distribution of centre r (``smooth`` on its class, the rest shared evenly by the others)::

        loss = - sum_r sum_c t_rc log softmax(logits_r + log(prior + 1e-12))_c / sum_r sum_c t_rc

    Args:
        logits: (R, K) of the centres, one row per class that is present.
        labels: (R,) int64, the class of each row.
        prior: (K,) class frequencies at image level (how many images hold the class), sum 1.
        smooth: target of the own class, in (0, 1]; 1 = no smoothing.

    Returns:
        float32 scalar (float64 for float64 logits); an exact 0 with a graph when no class is present.

    Raises:
        ValueError: shapes that do not fit, ``smooth`` outside.

    Source: Zhong et al., Understanding imbalanced semantic segmentation through neural collapse (CVPR 2023).
    """
    if logits.ndim != 2 or tuple(labels.shape) != (logits.shape[0],) or tuple(prior.shape) != (logits.shape[1],):
        raise ValueError(
            f'center_collapse_loss: expected logits (R, K), labels (R,) and prior (K,), but the shapes are '
            f'{tuple(logits.shape)}, {tuple(labels.shape)} and {tuple(prior.shape)}.'
        )
    own = check_number('smooth', smooth, low=0.0, high=1.0, low_open=True, owner='center_collapse_loss')
    scores = full_precision(logits)
    goal = torch.full_like(scores, (1.0 - own) / max(logits.shape[1] - 1, 1))
    goal.scatter_(1, labels.unsqueeze(1), own)
    return shifted_cross_entropy(scores, goal, shift=(prior.to(scores) + TINY).log(), owner='center_collapse_loss')
