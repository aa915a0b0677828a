"""``imbdense.MixedLoss``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_number
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class MixedLoss(DenseLoss):
    """Weighted sum of several losses where a head takes one, such as ``loss_cls`` of mmdet's heads.

    ``loss = sum_j weights_j * loss_j(pred, target)``. Every term is built in the scope of the run (a bare
    ``CrossEntropyLoss`` is mmseg's or mmdet's) and is called as the head calls this loss.

    ``ClassCountHook``, ``DeferredRebalanceHook`` and ``FeatureTapHook`` find the terms by themselves, so each counted
    term is bound once; :meth:`set_rebalancing` passes the switch on. State: that of the terms, ``losses.<j>.*``.

    Args:
        losses: configs of the terms.
        weights: one number >= 0 per term; ``None`` = 1 each.
        use_sigmoid: dense heads want it written here; must agree with the terms. ``None`` = what the terms say.
        class_weight: handed to every term that has none of its own (DETR and Mask2Former heads fill or read it).
        reduction: used for every term.
        normalizer: must stay 'weight_sum'; each term has its own.
        others: see :class:`DenseLoss`.

    Raises:
        ValueError: no terms, another number of weights, sigmoid and softmax terms mixed, or a term that wants logit
            channels of its own (mmdet's SeesawLoss).
    """

    losses: Sequence[Mapping[str, Any]]
    weights: Sequence[float] | None = None
    use_sigmoid: bool | None = None
    loss_name: str = 'loss_mixed'

    card = 'mixed_loss'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    conformance_arguments = {
        'losses': [{'type': 'imbdense.BalancedSoftmaxLoss'}, {'type': 'imbdense.CDTLoss'}], 'weights': [1.0, 0.5]
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('normalizer', self.normalizer, ('weight_sum',), owner='MixedLoss')
        configs = list(self.losses)
        factors = [1.0] * len(configs) if self.weights is None else list(self.weights)
        if not configs or len(factors) != len(configs):
            raise ValueError(
                f'MixedLoss: losses must hold at least one config and weights one number for each, but they hold '
                f'{len(configs)} and {len(factors)}.'
            )
        self.weights = [check_number('weights', factor, low=0.0, owner='MixedLoss') for factor in factors]
        shared = {} if self.class_weight is None else {'class_weight': self.class_weight}
        self.losses = nn.ModuleList(MODELS.build({**shared, **config}) for config in configs)
        self.use_sigmoid = self._kind_of_logits()

    def _kind_of_logits(self) -> bool:
        """Whether the terms read sigmoid logits; all must agree."""
        kinds = {type(term).__name__: bool(getattr(term, 'use_sigmoid', False)) for term in self.losses}
        if self.use_sigmoid is not None:
            kinds['MixedLoss'] = bool(self.use_sigmoid)
        if len(set(kinds.values())) > 1:
            raise ValueError(
                f'MixedLoss: one head has either sigmoid or softmax logits, but use_sigmoid is {kinds}. Set it to the '
                f'same value everywhere.'
            )
        own = [type(term).__name__ for term in self.losses if getattr(term, 'custom_cls_channels', False)]
        if own:
            raise ValueError(f'MixedLoss: {own[0]} wants logit channels of its own and can not be mixed with others.')
        return next(iter(kinds.values()))

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Call every term with what the head gave."""
        options: dict[str, Any] = {'weight': call.weight, 'avg_factor': call.avg_factor}
        options = {name: value for name, value in options.items() if value is not None}
        if not call.from_detection_head:  # else the terms must see that no ignore value was named
            options['ignore_index'] = call.ignore_index
        terms = [term(pred, target, reduction_override=call.reduction, **options) for term in self.losses]
        return sum(factor * term for factor, term in zip(self.weights, terms, strict=True))

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same: each term has its own switch."""
        return self.rebalanced(pred, target, call)

    def set_rebalancing(self, active: bool) -> None:
        """Switch every term that can be deferred."""
        for term in self.losses:
            if hasattr(term, 'set_rebalancing'):
                term.set_rebalancing(active)
