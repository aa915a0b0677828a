"""What every imbdense loss module shares: the arguments of the hosts' heads, checked once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_number
from imbdense.core.reduction import NORMALIZERS, REDUCTIONS


class DenseLoss(nn.Module):
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

    card = ''
    tasks: tuple[str, ...] = ()
    fixed_weight: Tensor | None

    def __init__(
        self,
        loss_weight: float,
        loss_name: str,
        reduction: str,
        normalizer: str,
        ignore_index: int | None,
        class_weight: Sequence[float] | Tensor | None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if 'loss' not in loss_name:
            raise ValueError(
                f"{owner}: loss_name must contain 'loss', but is {loss_name!r}: mmengine only trains the terms whose "
                f"name does. Call it 'loss_{loss_name}'."
            )
        self.loss_weight = check_number('loss_weight', loss_weight, low=0.0, owner=owner)
        self.reduction = check_choice('reduction', reduction, REDUCTIONS, owner=owner)
        self.normalizer = check_choice('normalizer', normalizer, NORMALIZERS, owner=owner)
        self.ignore_index = ignore_index
        self._loss_name = loss_name
        fixed = None if class_weight is None else torch.as_tensor(class_weight, dtype=torch.float32).clone()
        if fixed is not None and (fixed.ndim != 1 or bool((fixed < 0).any())):
            raise ValueError(f'{owner}: class_weight must hold one number >= 0 per channel, but got {class_weight}.')
        self.register_buffer('fixed_weight', fixed, persistent=False)

    @property
    def loss_name(self) -> str:
        """Key of this term in the loss dict of mmseg heads."""
        return self._loss_name

    @property
    def class_weight(self) -> list[float] | None:
        """The fixed channel weights, as heads of the DETR family expect to read them."""
        return None if self.fixed_weight is None else self.fixed_weight.tolist()

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
