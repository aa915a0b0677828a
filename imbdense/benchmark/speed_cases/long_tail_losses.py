"""The other losses of the long-tail family against plain cross-entropy: forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload
from imbdense.benchmark.speed_cases.losses import CLASSES, COUNTS, inputs, step, workload
from imbdense.core.losses.balanced_logit_variation import variation_scale
from imbdense.core.losses.label_aware_smooth import smoothing_factors
from imbdense.core.losses.ldam import ldam_margins
from imbdense.core.stats import class_weights

Formula = Callable[[Tensor, Tensor], Tensor]
N = torch.tensor(COUNTS, dtype=torch.float64)


def _loss(name: str, **options: Any) -> Any:
    """The registered loss with known counts."""
    from imbdense.registry import MODELS

    return MODELS.build({'type': f'imbdense.{name}', 'class_counts': COUNTS, **options})


def _exact(name: str, formula: Formula, **options: Any) -> Callable[[float], Workload]:
    """A case whose value and gradient must be those of the formula."""

    def make(scale: float) -> Workload:
        loss = _loss(name, **options)
        return workload(scale, lambda z, y: loss(z, y, ignore_index=255), formula)

    return make


def _drawn(name: str, formula: Formula, **options: Any) -> Callable[[float], Workload]:
    """A case with its own noise: the value must be that of the formula with other noise, within 0.5 %."""

    def make(scale: float) -> Workload:
        loss = _loss(name, **options)
        logits, target = inputs(scale)
        expected = float(formula(logits.detach(), target))

        def check(result: tuple[float, Tensor], _plain: tuple[float, Tensor]) -> str:
            gap = abs(result[0] / expected - 1)
            if gap > 5e-3:
                raise Unequal(f'losses differ by {gap:.1%} of their value, with different noise')
            return f'losses: {gap:.2%} apart, with different noise'

        return Workload(
            step(lambda z, y: loss(z, y, ignore_index=255), logits, target),
            step(lambda z, y: F.cross_entropy(z, y, ignore_index=255), logits, target), check,
        )

    return make


def _mean(terms: Tensor, target: Tensor) -> Tensor:
    return terms[target != 255].mean()


def _onehot(target: Tensor) -> Tensor:
    return F.one_hot(torch.where(target == 255, 0, target), CLASSES).movedim(-1, 1)


def _view(values: Tensor) -> Tensor:
    return values.float().view(1, -1, 1, 1)


def _focal(z: Tensor, y: Tensor) -> Tensor:
    inner = F.cross_entropy(z, y, ignore_index=255, reduction='none')
    return _mean((1 - torch.exp(-inner)) ** 2 * inner, y)


def _focal_weighted(z: Tensor, y: Tensor) -> Tensor:
    weights = torch.as_tensor(class_weights(COUNTS, 'effective'), dtype=torch.float32)
    inner = F.cross_entropy(z, y, weights, ignore_index=255, reduction='none')
    return _mean((1 - torch.exp(-inner)) ** 2 * inner, y)


def _ldam(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(10 * (z - _onehot(y) * _view(ldam_margins(N))), y, ignore_index=255)


def _cdt(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z / _view((N.max() / N) ** 0.1), y, ignore_index=255)


def _smooth(z: Tensor, y: Tensor) -> Tensor:
    log_prob = z.log_softmax(1)
    factors = smoothing_factors(N).float()[torch.where(y == 255, 0, y)]
    own = F.nll_loss(log_prob, y, ignore_index=255, reduction='none')
    return _mean((1 - factors) * own - factors * log_prob.mean(1), y)


def _lade(z: Tensor, y: Tensor) -> Tensor:
    prior = N / N.sum()
    rows, labels = z.movedim(1, -1)[y != 255].double(), y[y != 255]
    bound = torch.logsumexp(rows, 0) - torch.log(torch.tensor(float(len(rows)))) - torch.log(prior * CLASSES)
    first = torch.stack([rows[labels == c, c].mean() for c in range(CLASSES)])
    return -(prior * (first - bound - 0.1 * bound.square())).sum().float()


def _influence(z: Tensor, y: Tensor) -> Tensor:
    inner = F.cross_entropy(z, y, ignore_index=255, reduction='none')
    distance = (z.softmax(1) - _onehot(y)).abs().sum(1)
    weights = 1 / N
    weights = (weights / weights.sum() * CLASSES).float()[torch.where(y == 255, 0, y)]
    return _mean(weights * inner * 1000 / (distance * 100 + 1e-3), y)


def _equalised(z: Tensor, y: Tensor) -> Tensor:
    rare = _view(N / N.sum()) < 0.01
    left_out = (torch.rand_like(z) < 0.9) & rare & (_onehot(y) == 0)
    return F.cross_entropy(z.masked_fill(left_out, -1e4), y, ignore_index=255)


def _variation(z: Tensor, y: Tensor) -> Tensor:
    noise = (4 * torch.randn_like(z)).clamp(-1, 1).abs()
    return F.cross_entropy(z + noise * _view(variation_scale(N)), y, ignore_index=255)


def _sigmoid_focal(z: Tensor, y: Tensor) -> Tensor:
    """As it is usually written, on one-hot targets."""
    target = _onehot(y).float()
    score = z.sigmoid()
    modulation = ((1 - score) * target + score * (1 - target)) ** 2
    terms = F.binary_cross_entropy_with_logits(z, target, reduction='none') * modulation
    weights = torch.as_tensor(class_weights(COUNTS, 'effective'), dtype=torch.float32)
    return _mean(terms.sum(1) * weights[torch.where(y == 255, 0, y)], y)


def _influence_case(scale: float) -> Workload:
    loss = _loss('InfluenceBalancedLoss')
    norm = torch.full((1, 1, 1, 1), 100.0)

    def ours(z: Tensor, y: Tensor) -> Tensor:
        loss.take_features(norm.expand(1, 1, *y.shape[1:]))
        return loss(z, y, ignore_index=255)

    return workload(scale, ours, _influence)


def _sigmoid_case(scale: float) -> Workload:
    loss = _loss('SigmoidFocalCBLoss')
    return workload(scale, lambda z, y: loss(z, y, ignore_index=255), _sigmoid_focal, peer=_sigmoid_focal)


def _case(name: str, what: str, make: Callable[[float], Workload], target: float = 1.3, peer: str = '') -> SpeedCase:
    return SpeedCase(
        name, f'{what}, forward + backward, 1×19×512²', peer or 'F.cross_entropy', target, make, small=2.0, repeats=11,
        peer_repeats=11,
    )


CASES = (
    _case('focal', 'SoftmaxFocalLoss', _exact('SoftmaxFocalLoss', _focal), 1.4),
    _case('focal-weighted', 'SoftmaxFocalLoss(scheme)',
          _exact('SoftmaxFocalLoss', _focal_weighted, scheme='effective'), 1.4),
    _case('ldam', 'LDAMLoss', _exact('LDAMLoss', _ldam, s=10.0)),
    _case('cdt', 'CDTLoss', _exact('CDTLoss', _cdt)),
    _case('label-aware-smooth', 'LabelAwareSmoothLoss', _exact('LabelAwareSmoothLoss', _smooth)),
    _case('lade', 'LADELoss', _exact('LADELoss', _lade, loss_weight=1.0)),
    _case('influence-balanced', 'InfluenceBalancedLoss', _influence_case),
    # A random number for every logit: torch.rand alone takes 0.8 of the cross-entropy.
    _case('softmax-eql', 'SoftmaxEQLLoss', _drawn('SoftmaxEQLLoss', _equalised, threshold=0.01), 1.8),
    _case('logit-variation', 'BalancedLogitVariationLoss', _drawn('BalancedLogitVariationLoss', _variation), 1.5),
    _case('sigmoid-focal-cb', 'SigmoidFocalCBLoss', _sigmoid_case, 1.0, 'the formula on one-hot targets'),
)
