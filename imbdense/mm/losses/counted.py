"""Losses that know how often each class occurs: given, bound by ClassCountHook, or counted while training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_counts, check_number
from imbdense.core.losses import shifted_cross_entropy, shifted_sigmoid_loss
from imbdense.core.losses.prior_shift import EMPTY_CLASS_POLICIES, has_background
from imbdense.core.stats import ClassCounts, PriorLedger, RunningClassStats
from imbdense.mm.class_counts import UNITS, ClassCountsSource, default_unit, load_class_counts
from imbdense.mm.losses.base import DenseLoss


class CountedLoss(DenseLoss, ABC):
    """Base of the losses that use class counts.

    Where the counts come from, in this order:

    1. ``class_counts``: a list, the path of a ``class_counts.json`` (read when first needed, so that a checkpoint can
       be tested where the file is not), or its content;
    2. :class:`~imbdense.mm.hooks.ClassCountHook`, which calls :meth:`bind_prior`: the distribution that the sampler
       and the transforms leave, so that only the residual is corrected;
    3. neither: the labels this loss has seen (:class:`RunningClassStats`). A step uses the counts before it, the very
       first step its own. The counts are in the state_dict, equal on all ranks, and only grow in train mode. They
       include what sampler and crops do, so nothing is corrected twice.

    Args:
        class_counts: see above.
        count: unit to take from a file or from the hook; ``None`` = 'pixels' if counted, else 'instances'.
        empty_class: 'one' = a class of count 0 counts once; 'mask' = it is taken out of the loss, elements labelled
            with it count nothing.
        background: whether the last channel is "no object", for source 3. ``None`` = yes for softmax logits (P, C) of
            a head that passes no ``ignore_index`` (detection), no otherwise. With counts the number of channels tells.
        force: correct although another component already has; the ledger records it.
        use_sigmoid: one sigmoid per class (dense heads; they must have it in their ``loss_cls`` config).
        focal_gamma, focal_alpha: focusing of the sigmoid form; FocalLoss has 2.0 and 0.25.
        others: see :class:`DenseLoss`.
    """

    running: RunningClassStats | None

    def __init__(
        self,
        class_counts: ClassCountsSource | None,
        count: str | None,
        empty_class: str,
        background: bool | None,
        force: bool,
        use_sigmoid: bool,
        focal_gamma: float,
        focal_alpha: float | None,
        loss_weight: float,
        loss_name: str,
        reduction: str,
        normalizer: str,
        ignore_index: int | None,
        class_weight: Sequence[float] | Tensor | None,
    ) -> None:
        super().__init__(loss_weight, loss_name, reduction, normalizer, ignore_index, class_weight)
        owner = type(self).__name__
        self.use_sigmoid = bool(use_sigmoid)
        self.empty_class = check_choice('empty_class', empty_class, EMPTY_CLASS_POLICIES, owner=owner)
        self.focal_gamma = check_number('focal_gamma', focal_gamma, low=0.0, owner=owner)
        self.focal_alpha = None if focal_alpha is None else check_number(
            'focal_alpha', focal_alpha, low=0.0, high=1.0, owner=owner
        )
        if not self.use_sigmoid and (self.focal_gamma != 0 or self.focal_alpha is not None):
            raise ValueError(f'{owner}: focal_gamma and focal_alpha belong to the sigmoid form; set use_sigmoid=True.')
        self.background = background
        self.force = bool(force)
        self.count = None if count is None else check_choice('count', count, UNITS, owner=owner)
        self._source = class_counts
        self._given: ClassCounts | Tensor | None = None
        if class_counts is not None and not isinstance(class_counts, (str, Mapping)):
            self._given = check_counts(class_counts, owner=owner)
        self._bound: Tensor | None = None
        self._cache: dict[tuple[int, torch.device], tuple[Tensor | None, Tensor | None]] = {}
        self.running = None

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
            target: class indices (N, *spatial) or (P,); the background is index C. Or probabilities like ``pred``.
            weight: sample weights of the shape of ``target`` (sigmoid form: also of ``pred``).
            avg_factor: explicit divisor of the sum.
            reduction_override: 'mean', 'sum' or 'none' instead of the constructor's.
            ignore_index: label value that counts nothing; ``None`` = the constructor's.
        """
        ignore = self.effective_ignore(pred, ignore_index)
        told = ignore_index is not None or self.ignore_index is not None
        shift, class_weight, counts = self.terms_for(pred, target, ignore, told)
        target = self.drop_removed(target, counts, ignore)
        options: dict[str, Any] = {
            'shift': shift,
            'class_weight': class_weight,
            'ignore_index': ignore,
            'weight': weight,
            'normalizer': self.normalizer,
            'avg_factor': avg_factor,
            'reduction': self.effective_reduction(reduction_override),
            'owner': type(self).__name__,
        }
        if self.use_sigmoid:
            loss = shifted_sigmoid_loss(
                pred, target, focal_gamma=self.focal_gamma, focal_alpha=self.focal_alpha, **options
            )
        else:
            loss = shifted_cross_entropy(pred, target, **options)
        return self.loss_weight * loss

    # What a loss does with counts -------------------------------------------------------------------------------

    @abstractmethod
    def terms(self, counts: Tensor, channels: int) -> tuple[Tensor | None, Tensor | None]:
        """Return (shift, class weights) for ``channels`` logits, each (channels,) or ``None``."""

    @abstractmethod
    def log_change(self, counts: Tensor) -> Tensor:
        """(C,) the change of the log class prior that training with this loss makes in the model's softmax."""

    # The ledger ---------------------------------------------------------------------------------------------------

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Take the distribution of the samples from ``ledger`` and record there what this loss corrects.

        Without ``class_counts`` the counts become those the data components leave, so only the residual is corrected.
        With ``class_counts`` they stay, and a ledger that holds another distribution is a double correction.

        Args:
            ledger: labels and data entries are made; a 'loss' entry is added.
            counts: of the training labels; gives the total amount and image_pixels.

        Raises:
            DoubleCorrectionError: with ``class_counts`` and without ``force``; it names who corrected before.
            ValueError: the ledger holds another number of classes.
        """
        if self._source is None:
            total = float(counts.of(self.count or default_unit(counts)).sum())
            self.set_counts(torch.as_tensor(ledger.seen_prior * total))
            self.image_pixels = counts.image_pixels
        self.declare_correction(ledger)

    def declare_correction(self, ledger: PriorLedger) -> None:
        """Record in ``ledger`` what this loss corrects; the loss itself does not change. Errors as above."""
        source = type(self).__name__
        if self._source is None:
            residual = torch.as_tensor(ledger.seen_prior) if self._bound is None else self._bound
            ledger.apply(source, 'loss', self.log_change(residual).cpu().numpy(), force=self.force)
            return
        given = self.given_counts()
        if given.numel() != len(ledger.classes):
            raise ValueError(
                f'{source}: class_counts has {given.numel()} entries, the data set has {len(ledger.classes)} '
                f'classes {list(ledger.classes)}.'
            )
        ledger.apply(
            source, 'loss', self.log_change(given).cpu().numpy(), assumed=given.cpu().numpy(), force=self.force
        )

    def set_counts(self, counts: Tensor) -> None:
        """Use these (C,) counts from now on instead of running ones."""
        self._bound = check_counts(counts, owner=type(self).__name__)
        self._cache.clear()

    # Counts -------------------------------------------------------------------------------------------------------

    image_pixels: Any = None
    """(C,) pixels of the images that hold each class, for median-frequency weights; set with the counts."""

    def given_counts(self) -> Tensor:
        """The counts of ``class_counts``; reads the file the first time."""
        if self._given is None:
            stored = load_class_counts(self._source, type(self).__name__)
            self.image_pixels = stored.image_pixels
            self._given = torch.as_tensor(stored.of(self.count or default_unit(stored)), dtype=torch.float64)
        return self._given  # type: ignore[return-value]

    def known_counts(self) -> Tensor | None:
        """Bound counts, else given counts, else ``None``."""
        if self._bound is not None:
            return self._bound
        return None if self._source is None else self.given_counts()

    def terms_for(
        self, pred: Tensor, target: Tensor, ignore: int, told_ignore: bool
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """Return (shift, class weights, counts) of this call on the device of ``pred``; counts are per class."""
        counts = self.known_counts()
        if counts is None:
            counts = self._running_counts(pred, target, ignore, told_ignore)
            shift, weights = self.terms(counts, pred.shape[1])
            return shift, self._with_fixed(weights, pred), counts
        key = (pred.shape[1], pred.device)
        if key not in self._cache:
            shift, weights = self.terms(counts.to(pred.device), pred.shape[1])
            self._cache[key] = (shift, self._with_fixed(weights, pred))
        return *self._cache[key], counts

    def drop_removed(self, target: Tensor, counts: Tensor, ignore: int) -> Tensor:
        """With ``empty_class='mask'``, ignore the elements whose class was taken out of the loss."""
        if self.empty_class != 'mask' or target.is_floating_point():
            return target
        classes = counts.numel()
        removed = nn.functional.pad(counts.to(target.device) == 0, (0, 1), value=False)
        safe = torch.where((target >= 0) & (target < classes), target, classes).long()
        return torch.where(removed[safe], ignore, target)

    def _with_fixed(self, weights: Tensor | None, pred: Tensor) -> Tensor | None:
        """Multiply the head's fixed channel weights in."""
        if self.fixed_weight is None:
            return weights
        fixed = self.fixed_weight.to(pred.device)
        if fixed.numel() == pred.shape[1] + 1 and self.use_sigmoid:
            fixed = fixed[:-1]
        if fixed.numel() != pred.shape[1]:
            raise ValueError(
                f'{type(self).__name__}: class_weight has {fixed.numel()} entries but the logits have '
                f'{pred.shape[1]} channels.'
            )
        return fixed if weights is None else weights.to(fixed.device) * fixed

    def _running_counts(self, pred: Tensor, target: Tensor, ignore: int, told_ignore: bool) -> Tensor:
        """Counts before this call (its own when they are the first), then add this call's."""
        background = self.background
        if background is None:
            background = pred.ndim == 2 and not told_ignore
        classes = pred.shape[1] - int(background and not self.use_sigmoid)
        if self.running is None:
            self.running = RunningClassStats(classes).to(pred.device)
            self.running.train(self.training)
        has_background(self.running.counts.numel(), pred.shape[1], use_sigmoid=self.use_sigmoid,
                       owner=type(self).__name__)
        if target.is_floating_point():
            raise ValueError(
                f'{type(self).__name__} can not count soft targets; give class_counts, or use ClassCountHook.'
            )
        before = self.running.counts.clone()
        self.running.update(target, ignore)
        seen = (before.sum() > 0).to(before.dtype)
        return before * seen + self.running.counts * (1 - seen)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        """Make the running counts when the checkpoint holds some (their size is only known at the first step)."""
        key = f'{prefix}running.counts'
        if key in state_dict and self.running is None:
            if self.known_counts_are_fixed:
                del state_dict[key]
            else:
                self.running = RunningClassStats(state_dict[key].numel())
                self.running.train(self.training)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    @property
    def known_counts_are_fixed(self) -> bool:
        """Whether counts were given or bound, so that running ones are not used."""
        return self._source is not None or self._bound is not None
