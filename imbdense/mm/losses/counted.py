"""Losses that know how often each class occurs: given, bound by ClassCountHook, or counted while training."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_counts
from imbdense.core.losses.prior_shift import EMPTY_CLASS_POLICIES, has_background
from imbdense.core.stats import ClassCounts, PriorLedger, RunningClassStats, class_prior
from imbdense.mm.class_counts import UNITS, ClassCountsSource, default_unit, load_class_counts
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments


@loss_arguments
class CountedLoss(DenseLoss):
    """Base of the losses that use class counts.

    Where the counts come from, in this order:

    1. ``class_counts``: a list, the path of a ``class_counts.json`` (read when first needed, so that a checkpoint can
       be tested where the file is not), or its content;
    2. :class:`~imbdense.mm.hooks.ClassCountHook`, which calls :meth:`bind_prior`: the distribution that the sampler
       and the transforms leave, so that only the residual is corrected;
    3. neither: the labels this loss has seen (:class:`RunningClassStats`). A step uses the counts before it, the very
       first step its own. The counts are in the state_dict, equal on all ranks, and only grow in train mode. They
       include what sampler and crops do, so nothing is corrected twice.

    While rebalancing is deferred (:meth:`set_rebalancing`) the loss is its unweighted self and goes on counting; the
    ledger records the correction of the final phase from the beginning.

    Args:
        class_counts: see above.
        count: unit to take from a file or from the hook; ``None`` = 'pixels' if counted, else 'instances'.
        empty_class: 'one' = a class of count 0 counts once; 'mask' = it is taken out of the loss, elements labelled
            with it count nothing.
        background: whether the last channel is "no object", for source 3. ``None`` = yes for softmax logits (P, C) of
            a head that passes no ``ignore_index`` (detection), no otherwise. With counts the number of channels tells.
        force: correct although another component already has; the ledger records it.
        others: see :class:`DenseLoss`.
    """

    class_counts: ClassCountsSource | None = None
    count: str | None = None
    empty_class: str = 'one'
    background: bool | None = None
    force: bool = False

    image_pixels = None  # (C,) pixels of the images that hold each class, for median-frequency weights
    enters_ledger = True  # False where the loss acts on logits of an auxiliary classifier, not on those of the model

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_choice('empty_class', self.empty_class, EMPTY_CLASS_POLICIES, owner=owner)
        if self.count is not None:
            check_choice('count', self.count, UNITS, owner=owner)
        self._given: Tensor | None = None
        if self.class_counts is not None and not isinstance(self.class_counts, (str, Mapping)):
            self._given = check_counts(self.class_counts, owner=owner)
            self._warn_of_empty(self._given)
        self._bound: Tensor | None = None
        self._cache: dict[tuple[Any, ...], Any] = {}

    @abstractmethod
    def log_change(self, counts: Tensor) -> Tensor:
        """(C,) the change of the log class prior that training with this loss makes in the model's softmax.

        Where the change is no constant factor: that at the boundary between two classes, where the decision falls.
        """

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
        if self.class_counts is None:
            self.set_counts(torch.as_tensor(self._seen_counts(ledger, counts)))
            self.image_pixels = counts.image_pixels
        self.declare_correction(ledger)

    def _seen_counts(self, ledger: PriorLedger, counts: ClassCounts) -> NDArray[np.float64]:
        """(C,) amounts in the unit of this loss that sampler and transforms leave of the labels' amounts.

        The ledger keeps one unit (pixels, say); what the data components do to a class in it, they do to the class in
        every unit.
        """
        total = float(counts.of(self.count or default_unit(counts)).sum())
        if self.count is None:
            return ledger.seen_prior * total
        left = class_prior(counts.of(self.count)) * ledger.seen_prior / np.asarray(ledger.entries[0].prior)
        return left / left.sum() * total

    def declare_correction(self, ledger: PriorLedger) -> None:
        """Record in ``ledger`` what this loss corrects; the loss itself does not change. Errors as above."""
        if not self.enters_ledger:
            return
        source = type(self).__name__
        if self.class_counts is None:
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

    def given_counts(self) -> Tensor:
        """The counts of ``class_counts``; reads the file the first time."""
        if self._given is None:
            stored = load_class_counts(self.class_counts, type(self).__name__)
            self.image_pixels = stored.image_pixels
            self._given = torch.as_tensor(stored.of(self.count or default_unit(stored)), dtype=torch.float64)
            self._warn_of_empty(self._given)
        return self._given

    def _warn_of_empty(self, counts: Tensor) -> None:
        """Say which classes have no sample; ClassCountHook does it by name for the counts it binds."""
        empty = torch.nonzero(counts == 0).flatten().tolist()
        if empty:
            what = 'count as one sample each' if self.empty_class == 'one' else 'are taken out of the loss'
            warnings.warn(f'{type(self).__name__}: the classes {empty} have zero samples and {what}.', stacklevel=3)

    def known_counts(self) -> Tensor | None:
        """Bound counts, else given counts, else ``None``."""
        if self._bound is not None:
            return self._bound
        return None if self.class_counts is None else self.given_counts()

    def counts_for(self, pred: Tensor, target: Tensor, call: LossCall, classes: int | None = None) -> Tensor:
        """The (C,) float64 counts of this call on the device of ``pred``; without known ones, counts this call too.

        Args:
            classes: C, for losses that know it otherwise than by the number of channels.
            others: of :meth:`rebalanced`.

        Raises:
            ValueError: known counts fit neither C nor C + 1 channels; or soft targets, which can not be counted.
        """
        counts = self.known_counts()
        if counts is None:
            if classes is None:
                classes = self._classes_among(pred, call)
            return self.count_labels(target, classes, call.ignore_index).to(torch.float64)
        key = ('counts', pred.device)
        if key not in self._cache:
            self._cache[key] = counts.to(pred.device)
        return self._cache[key]

    def drop_removed(self, target: Tensor, counts: Tensor, ignore_index: int) -> Tensor:
        """With ``empty_class='mask'``, ignore the elements whose class was taken out of the loss."""
        if self.empty_class != 'mask' or target.is_floating_point():
            return target
        classes = counts.numel()
        removed = nn.functional.pad(counts.to(target.device) == 0, (0, 1), value=False)
        safe = torch.where((target >= 0) & (target < classes), target, classes).long()
        return torch.where(removed[safe], ignore_index, target)

    def with_fixed(self, weights: Tensor | None, pred: Tensor) -> Tensor | None:
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

    def _classes_among(self, pred: Tensor, call: LossCall) -> int:
        """How many channels are classes; once that is decided, later calls must fit it."""
        if self.running is None:
            return pred.shape[1] - int(self.has_background(pred, call))
        classes = self.running.counts.numel()
        has_background(classes, pred.shape[1], use_sigmoid=self.use_sigmoid, owner=type(self).__name__)
        return classes

    def count_labels(self, target: Tensor, values: int, ignore_index: int) -> Tensor:
        """Counts of the labels [0, values) before this call (its own when they are the first); add this call's."""
        if target.is_floating_point():
            raise ValueError(
                f'{type(self).__name__} can not count soft targets; give class_counts, or use ClassCountHook.'
            )
        running = self.late_on('running', target.device)
        if running is None:
            running = self.keep_late('running', RunningClassStats(values).to(target.device))
        before = running.counts.clone()
        running.update(target, ignore_index)
        seen = (before.sum() > 0).to(before.dtype)
        return before * seen + running.counts * (1 - seen)

    def keeps_counting(self) -> bool:
        """Whether running counts are used; if not, those of a checkpoint are dropped."""
        return self.class_counts is None and self._bound is None

    def has_background(self, pred: Tensor, call: LossCall) -> bool:
        """Whether the last channel is "no object", as far as argument, call and number of counts tell."""
        if self.use_sigmoid:
            return False
        counts = self.known_counts()
        if counts is not None:
            return has_background(counts.numel(), pred.shape[1], owner=type(self).__name__)
        if self.background is not None:
            return self.background
        return call.from_detection_head

    @property
    def running(self) -> RunningClassStats | None:
        """The labels counted so far; ``None`` before the first step, and where the counts are known."""
        return self.late('running')

    def make_late(self, name: str, state: dict[str, Tensor]) -> RunningClassStats | None:
        """Running counts of the size in the checkpoint, unless the counts are known."""
        return RunningClassStats(state['counts'].numel()) if self.keeps_counting() else None

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        self.restore_late('running', state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
