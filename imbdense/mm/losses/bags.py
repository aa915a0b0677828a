"""``imbdense.BalancedGroupSoftmaxLoss``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import balanced_group_scores, balanced_group_softmax_loss, class_groups
from imbdense.core.losses.bags import GROUP_EDGES
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss
from imbdense.mm.losses.scores import DetectionScores
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class BalancedGroupSoftmaxLoss(CountedLoss, DetectionScores):
    """One softmax per group of classes of similar frequency, each with an "others", and one for object / background.

    See :func:`imbdense.core.losses.balanced_group_softmax_loss` for formula and edge cases. Only for the box heads of
    two-stage detectors, which ask for C + G + 2 channels; the scores are (C + 1).

    The counts must be known, from ``class_counts`` or :class:`~imbdense.mm.hooks.ClassCountHook`: with running counts
    all classes would end in the last group.

    State: the group of each class, in the state_dict, so that a checkpoint can be tested without counts. It does not
    change while training. Deferring changes nothing: the channels have no other use.

    Args:
        group_edges: increasing counts at which a new group begins; G is one more.
        others_ratio: the samples of "others" weigh at most this many times those of the group.
        use_sigmoid: must be ``False``; configs inherit it from the loss they replace.
        others: see :class:`CountedLoss`.
    """

    group_edges: Sequence[float] = GROUP_EDGES
    others_ratio: float = 8.0
    use_sigmoid: bool = False
    loss_name: str = 'loss_bags'

    card = 'bags'
    tasks = ('detection',)
    needs_counts = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('use_sigmoid', self.use_sigmoid, (False,), owner='BalancedGroupSoftmaxLoss')
        owner = 'BalancedGroupSoftmaxLoss'
        self.others_ratio = check_number('others_ratio', self.others_ratio, low=0.0, low_open=True, owner=owner)
        edges = [check_number('group_edges', edge, low=0.0, low_open=True, owner=owner) for edge in self.group_edges]
        if sorted(set(edges)) != edges:
            raise ValueError(f'{owner}: group_edges must increase, but got {list(self.group_edges)}.')
        self.group_edges = tuple(edges)
        self.register_buffer('groups', None)

    @property
    def number_of_groups(self) -> int:
        """G."""
        return len(self.group_edges) + 1

    def roi_channels(self, num_classes: int) -> int:
        """C + G + 2: the classes, the "others" of each group, background, object."""
        return num_classes + self.number_of_groups + 2

    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Probability within the group times objectness."""
        scores = balanced_group_scores(logits, self._groups(logits), self.number_of_groups)
        return scores[:, :-1], scores[:, -1:]

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The sum over the groups."""
        groups = self._groups(pred)
        known = self.known_counts()
        if known is not None:
            target = self.drop_removed(target, known, call.ignore_index)
        return balanced_group_softmax_loss(
            pred, target, groups, self.number_of_groups, others_ratio=self.others_ratio, **call.options
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same."""
        return self.rebalanced(pred, target, call)

    def log_change(self, counts: Tensor) -> Tensor:
        """Within its group a class keeps its share, and the groups count alike: the prior is divided by the group's."""
        groups = class_groups(counts, self.group_edges)
        total = counts.new_zeros(self.number_of_groups).index_add_(0, groups, counts)
        return -total.clamp_min(1e-12).log()[groups]

    def set_counts(self, counts: Tensor) -> None:
        """Use these (C,) counts, and the groups they make."""
        super().set_counts(counts)
        self.groups = None

    def _groups(self, pred: Tensor) -> Tensor:
        """(C,) the group of each class; of a checkpoint, when no counts are known."""
        if self.groups is None:
            counts = self.known_counts()
            if counts is None:
                raise ValueError(
                    'BalancedGroupSoftmaxLoss needs class counts to group the classes. Add '
                    "custom_hooks=[dict(type='imbdense.ClassCountHook')], or give class_counts."
                )
            self.groups = class_groups(counts, self.group_edges, empty_class=self.empty_class).to(pred.device)
        return self.groups

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        """Take the groups that the logits of the checkpoint were trained with."""
        stored = state_dict.get(f'{prefix}groups')
        if stored is not None and self.groups is None:
            self.groups = torch.empty_like(stored)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
