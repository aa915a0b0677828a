"""What the transforms that paste from an instance bank share: the bank, its rounds, equally many draws per class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.logging import MMLogger
from torch.utils.data import get_worker_info

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.compositing import draw_quota
from imbdense.data.instance_bank import ROUNDS, BankObject, InstanceBank, Rounds
from imbdense.data.instance_bank.objects import Modality
from imbdense.mm.transforms.host_rng import host_generator


class BankDraw(BaseTransform):
    """Base: draws k = ``quota`` objects of every class uniformly with replacement, anew for every sample.

    Every class gets the *same* k, so rare classes come more often than in nature. A class without an object is left
    out with one warning and nobody gets its share. The bank is opened once per worker, at the first use.

    Attributes:
        modality: of the banks it can paste.
    """

    modality: Modality

    def __init__(self, bank: str, quota: float, classes: Sequence[int] | None, rounds: Rounds) -> None:
        owner = type(self).__name__
        self.folder = str(bank)
        self.quota = check_number('quota', quota, low=0, owner=owner)
        wanted = {check_integer('classes', klass, low=0, owner=owner) for klass in classes or ()}
        self.classes = None if classes is None else sorted(wanted)
        self.rounds: Rounds = check_choice('rounds', rounds, ROUNDS, owner=owner)
        self.last_round: int | None = None
        self._bank: InstanceBank | None = None

    @cache_randomness
    def draw_seed(self) -> int:
        """The seed of one sample's draws, from the host's stream."""
        return int(host_generator().integers(2**62))

    def drawn(self, rng: np.random.Generator) -> Iterator[BankObject]:
        """The objects for one sample, class by class."""
        bank = self.bank
        for klass in self._pasted_classes:
            members = bank.members(klass)
            if len(members):
                for number in members[rng.integers(len(members), size=draw_quota(self.quota, rng))].tolist():
                    yield bank[number]

    @property
    def bank(self) -> InstanceBank:
        """The bank, opened at the first use in a process.

        Raises:
            BankError: there is none, or it is damaged. ValueError: a bank of the other modality, or ``classes`` outside
                it.
        """
        if self._bank is None:
            owner, bank = type(self).__name__, InstanceBank.open(self.folder, self.rounds, self.last_round)
            if bank.modality != self.modality:
                raise ValueError(f'{owner}: {self.folder} holds {bank.modality}; {_INTO[bank.modality]}.')
            if self.classes and self.classes[-1] >= len(bank.classes):
                raise ValueError(f'{owner}: classes {self.classes} for a bank of {len(bank.classes)} classes.')
            self._bank = bank
            self._warn()
        return self._bank

    def set_round(self, last: int, quota: float | None = None) -> None:
        """Use the bank's rounds up to number ``last``, and ``quota`` where given, from the next sample on.

        For hooks that add rounds, with a quota such as :class:`imbdense.core.pseudo_label.ProgressiveQuota` gives for
        the round. Both follow from the round number, so a resumed run goes on right.
        """
        self.last_round, self._bank = int(last), None
        if quota is not None:
            self.quota = check_number('quota', quota, low=0, owner=type(self).__name__)

    @property
    def _pasted_classes(self) -> Sequence[int]:
        """The classes of which objects are drawn."""
        return range(len(self.bank.classes)) if self.classes is None else self.classes

    def _warn(self) -> None:
        """Name the classes that have no object, once: not again in every worker."""
        worker = get_worker_info()
        counts = self.bank.counts
        empty = [self.bank.classes[klass] for klass in self._pasted_classes if counts[klass] == 0]
        if empty and (worker is None or worker.id == 0):
            MMLogger.get_current_instance().warning(
                f'{type(self).__name__}: {self.folder} has no object of {", ".join(empty)}; nothing of that is pasted.'
            )

    def __repr__(self) -> str:
        return (f"{type(self).__name__}(bank='{self.folder}', quota={self.quota}, classes={self.classes}, "
                f"rounds='{self.rounds}')")  # fmt: skip


_INTO = {'points': 'it can be pasted into point clouds only', 'image': 'it can be pasted into images only'}
