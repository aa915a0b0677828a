"""``imbdense.PixelBalancedSampler``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_counts, check_number
from imbdense.core.sampling import pixel_factors, pixel_weights
from imbdense.core.stats import ClassCounts, DoubleCorrectionError, ImageClassTable, PriorLedger, RunningClassStats
from imbdense.mm.class_counts import ClassCountsSource, default_unit, load_class_counts
from imbdense.registry import TASK_UTILS


@TASK_UTILS.register_module()
class PixelBalancedSampler(nn.Module):
    """Balance the classes of the pixels that enter the loss of an mmseg head (its argument ``sampler``).

    ``'under'`` leaves out pixels of frequent classes at random, ``'over'`` weighs up those of rare ones; see
    :func:`imbdense.core.sampling.pixel_factors` and :func:`~imbdense.core.sampling.pixel_weights`. In expectation both
    are a re-weighted cross-entropy, and only the variance differs.

    Where the counts come from, in this order: ``class_counts``; the distribution that the image sampler and the crops
    leave, handed over by ``ClassCountHook``; the labels seen so far. With ``per_batch=True`` those of the batch alone.

    The ledger learns the distribution this sampler leaves (not with ``per_batch``), so that a loss corrects only the
    rest. Without ``ClassCountHook`` a loss that corrects the prior counts labels, not the pixels that are left; that
    combination is refused.

    State: running counts (int64, in the state_dict, equal on all ranks); unused when counts are given or handed over.
    Random numbers: torch's generator of the device, which ``ExactResumeHook`` seeds in every iteration.

    Args:
        mode: 'under' or 'over'.
        level: how much of the imbalance to remove, in [0, 1].
        max_weight: largest weight of 'over', >= 1.
        class_counts: list, path or content of a class_counts.json; ``None`` = see above.
        per_batch: count each batch (of all ranks) anew.
        context: the head, which passes itself: its classes, ignore value and losses are read.

    Raises:
        ValueError: an argument is out of range, or ``class_counts`` has another number of classes than the head.
    """

    card = 'element_samplers'
    tasks = ('segmentation',)

    def __init__(
        self,
        mode: Literal['under', 'over'] = 'under',
        level: float = 1.0,
        max_weight: float = 20.0,
        class_counts: ClassCountsSource | None = None,
        per_batch: bool = False,
        *,
        context: Any,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.mode = check_choice('mode', mode, ('under', 'over'), owner=owner)
        self.level = check_number('level', level, low=0.0, high=1.0, owner=owner)
        self.max_weight = check_number('max_weight', max_weight, low=1.0, owner=owner)
        self.per_batch = bool(per_batch)
        self.ignore_index = int(context.ignore_index)
        self.num_classes = int(context.num_classes)
        self._known = None if class_counts is None else self._read(class_counts)
        self._given = self._known is not None
        self._correcting = [
            type(loss).__name__
            for loss in context.loss_decode.modules()
            if hasattr(loss, 'log_change') and not getattr(loss, 'force', False)
        ]
        self.running = RunningClassStats(self.num_classes)

    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """Return the (N, H, W) float32 weight of every pixel.

        Args:
            seg_logit: (N, C, H, W); only its device counts.
            seg_label: (N, 1, H, W) class indices.

        Raises:
            DoubleCorrectionError: a loss of the head corrects the prior and does not know of this sampler.
        """
        if self._correcting:
            raise DoubleCorrectionError(
                f'PixelBalancedSampler changes the class distribution of the pixels, and '
                f'{" and ".join(self._correcting)} would correct it once more. Add the hook imbdense.ClassCountHook '
                f'(and leave per_batch out), so that only the rest is corrected; or take one of the two; or set '
                f'force=True in the loss if you mean it.'
            )
        label = seg_label.squeeze(1)
        with torch.no_grad():
            factors = self._factors(self._counts(label))
            return pixel_weights(label, factors, self.mode, self.ignore_index).to(seg_logit.device)

    def sampling_factors(
        self, table: ImageClassTable, draws: NDArray[np.float64], prior: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Return (C,) by how much the share of each class among the pixels is multiplied; ``None`` for per_batch.

        Args:
            table, draws: not needed.
            prior: (C,) share of each class among the pixels that come in.
        """
        if self.per_batch:
            return None
        counts = self._known if self._given else torch.as_tensor(prior)
        return self._factors(counts).double().numpy()

    def bind_prior(self, ledger: PriorLedger, counts: ClassCounts) -> None:
        """Take what the components before this one leave; called by ``ClassCountHook``."""
        name = type(self).__name__
        places = [place for place, entry in enumerate(ledger.entries) if entry.source == name]
        if not places:
            return
        if not self._given:
            self._known = torch.as_tensor(ledger.entries[places[0] - 1].prior, dtype=torch.float64)
        self._correcting = []

    def _factors(self, counts: Tensor) -> Tensor:
        """(C,) factors of these counts."""
        return pixel_factors(counts, self.mode, self.level, self.max_weight)

    def _counts(self, label: Tensor) -> Tensor:
        """(C,) counts that this call goes by."""
        if self.per_batch:
            current = RunningClassStats(self.num_classes).to(label.device)
            current.update(label, self.ignore_index)
            return current.counts
        if self._known is None:
            self.running.update(label, self.ignore_index)
            return self.running.counts
        if self._known.device != label.device:
            self._known = self._known.to(label.device)
        return self._known

    def _read(self, source: ClassCountsSource) -> Tensor:
        """``class_counts`` as a tensor of the right length."""
        owner = type(self).__name__
        if isinstance(source, (str, Mapping)):
            stored = load_class_counts(source, owner)
            source = stored.of(default_unit(stored)).tolist()
        counts = check_counts(source, owner=owner)
        if counts.numel() != self.num_classes:
            raise ValueError(
                f'{owner}: class_counts has {counts.numel()} entries, but the head has {self.num_classes} classes.'
            )
        return counts
