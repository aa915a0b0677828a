"""What every imbdense loss module shares: the arguments of the hosts' heads, declared and checked once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import shifted_cross_entropy
from imbdense.core.reduction import NORMALIZERS, REDUCTIONS
from imbdense.mm.losses.late_statistics import LateStatistics

loss_arguments = dataclass(eq=False, repr=False, kw_only=True)
"""Class decorator of every loss: its annotated fields are the keyword arguments of the constructor.

A subclass only writes the arguments it adds; those of its bases, with their defaults, types and checks, come along. So
twenty losses do not repeat the same eighteen arguments, and an unknown key is still a ``TypeError`` that names it.
"""


@dataclass(frozen=True)
class LossCall:
    """What one call of ``forward`` asks for, resolved against the constructor's arguments.

    Attributes:
        ignore_index: label value that counts nothing.
        weight, normalizer, avg_factor, reduction: see :func:`imbdense.core.reduction.reduce_loss`.
        from_detection_head: (P, C) logits and nobody named an ignore value, which is how mmdet's heads call.
    """

    ignore_index: int
    weight: Tensor | None
    normalizer: str
    avg_factor: float | Tensor | None
    reduction: str
    from_detection_head: bool

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that every loss function of the core takes."""
        return {
            'ignore_index': self.ignore_index,
            'weight': self.weight,
            'normalizer': self.normalizer,
            'avg_factor': self.avg_factor,
            'reduction': self.reduction,
        }


@loss_arguments
class DenseLoss(LateStatistics, ABC):
    """Base of the losses: names, weights and the resolution of what a head passes to ``forward``.

    Args:
        loss_weight: factor of the result, >= 0.
        loss_name: key in mmseg's loss dict; must contain 'loss', or mmengine would log it and not train it.
        reduction: 'mean', 'sum' or 'none'; ``forward(reduction_override=...)`` goes before it.
        normalizer: what 'mean' divides by without ``avg_factor``; see :func:`imbdense.core.reduction.reduce_loss`.
        ignore_index: label value that counts nothing; used when the head passes none. ``None`` = 255 for images and
            volumes, -1 for (P, C) logits (where 255 can be a class).
        class_weight: fixed weight per logit channel, (C,) or (C + 1,), on top of what the loss does. Heads of the
            DETR and Mask2Former family fill or read it (no-object weight 0.1).
    """

    loss_weight: float = 1.0
    loss_name: str = 'loss_imbdense'
    reduction: str = 'mean'
    normalizer: str = 'weight_sum'
    ignore_index: int | None = None
    class_weight: Sequence[float] | Tensor | None = None

    # No annotation, no constructor argument:
    card = ''
    tasks = ()
    use_sigmoid = False  # heads ask every loss for it
    rebalancing = True

    def __new__(cls, *_: Any, **__: Any) -> DenseLoss:
        module = super().__new__(cls)
        nn.Module.__init__(module)  # a dataclass constructor assigns fields at once, which a Module must be ready for
        return module

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if 'loss' not in self.loss_name:
            raise ValueError(
                f"{owner}: loss_name must contain 'loss', but is {self.loss_name!r}: mmengine only trains the terms "
                f"whose name does. Call it 'loss_{self.loss_name}'."
            )
        self.loss_weight = check_number('loss_weight', self.loss_weight, low=0.0, owner=owner)
        check_choice('reduction', self.reduction, REDUCTIONS, owner=owner)
        check_choice('normalizer', self.normalizer, NORMALIZERS, owner=owner)
        fixed = None if self.class_weight is None else torch.as_tensor(self.class_weight, dtype=torch.float32).clone()
        if fixed is not None and (fixed.ndim != 1 or bool((fixed < 0).any())):
            raise ValueError(f'{owner}: class_weight must hold one number >= 0 per channel, got {self.class_weight}.')
        # DETR heads read the weights back as a plain list.
        self.class_weight = None if fixed is None else fixed.tolist()
        self.register_buffer('fixed_weight', fixed, persistent=False)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Compute the loss as mmseg decode heads, mmdet RoI, dense and query heads call it.

        Args:
            pred: logits (N, C, *spatial) or (P, C), with a background channel last where the head has one.
            target: class indices (N, *spatial) or (P,); the background is index C. Or probabilities like ``pred``,
                where the loss can use them.
            weight: sample weights of the shape of ``target`` (sigmoid losses: also of ``pred``).
            avg_factor: explicit divisor of the sum.
            reduction_override: 'mean', 'sum' or 'none' instead of the constructor's.
            ignore_index: label value that counts nothing; ``None`` = the constructor's.
        """
        told = ignore_index is not None or self.ignore_index is not None
        call = LossCall(
            ignore_index=self.effective_ignore(pred, ignore_index),
            weight=weight,
            normalizer=self.normalizer,
            avg_factor=avg_factor,
            reduction=self.effective_reduction(reduction_override),
            from_detection_head=pred.ndim == 2 and not told,
        )
        compute = self.rebalanced if self.rebalancing else self.plain
        return self.loss_weight * compute(pred, target, call)

    @abstractmethod
    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The loss itself, without ``loss_weight``."""

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The unweighted self, used while rebalancing is deferred: cross-entropy, unless the loss says otherwise."""
        return shifted_cross_entropy(
            pred, target, class_weight=self.fixed_weight, owner=type(self).__name__, **call.options
        )

    def set_rebalancing(self, active: bool) -> None:
        """Switch between :meth:`rebalanced` and :meth:`plain`; called by ``DeferredRebalanceHook``, never stored."""
        self.rebalancing = bool(active)

    def effective_ignore(self, pred: Tensor, ignore_index: int | None) -> int:
        """The ignore value of this call: the head's, else the constructor's, else 255 (images) or -1 (P, C)."""
        if ignore_index is not None:
            return ignore_index
        if self.ignore_index is not None:
            return self.ignore_index
        return 255 if pred.ndim > 2 else -1

    def effective_reduction(self, reduction_override: str | None) -> str:
        """The reduction of this call."""
        if reduction_override is None:
            return self.reduction
        return check_choice('reduction_override', reduction_override, REDUCTIONS, owner=type(self).__name__)
