"""Who already corrected the class prior?

A class distribution travels through a training run: the labels have one, the sampler, the crop and the paste change
the one the loss sees, a re-weighted or logit-adjusted loss changes the one the *model* encodes, a post-hoc step
changes the one its scores encode. Correcting the same imbalance twice silently turns the tail into the head (balanced
softmax plus post-hoc adjustment was seen to bring the background recall to 0.00). The ledger is the one place where
every component says what it leaves, so that the next corrects only the residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.stats.indices import class_prior

Stage = Literal['labels', 'data', 'loss', 'post_hoc']

TOLERANCE = 0.1
"""Two priors are taken as equal when no class differs by more than this in log (about 10 %)."""


class DoubleCorrectionError(ValueError):
    """A component would correct an imbalance that an earlier one has removed already."""


@dataclass(frozen=True)
class PriorEntry:
    """One line of the ledger: ``source`` acted at ``stage`` and left the class distribution ``prior``."""

    source: str
    stage: Stage
    prior: tuple[float, ...]


class PriorLedger:
    """The class distribution along a run, one entry per component that changed it.

    Up to the stage ``data`` the prior is that of the samples the loss sees. From the stage ``loss`` on it is the one
    that the model's softmax encodes: plain cross-entropy keeps it, class weights w multiply it by w, balanced softmax
    with counts n divides it by n. Several losses (main and auxiliary heads) act side by side on the same samples, not
    one after the other; the first is the main head's and decides what the model encodes.

    Args:
        classes: C class names.
        counts: (C,) counts of the training labels; classes without a sample count as one.
        source: what was counted, for messages.

    The state is plain data (:meth:`to_dict`), stored in checkpoints so that a test run knows what training did. It is
    made from equal inputs on every rank; nothing is communicated.
    """

    def __init__(self, classes: Sequence[str], counts: ArrayLike, source: str = 'training labels') -> None:
        prior = class_prior(counts)
        if prior.size != len(classes):
            raise ValueError(f'PriorLedger: {len(classes)} class names but {prior.size} counts.')
        self.classes = tuple(classes)
        self.entries = [PriorEntry(source, 'labels', tuple(prior.tolist()))]

    @property
    def prior(self) -> NDArray[np.float64]:
        """(C,) the distribution in force: what the last post-hoc step left, else the first loss, else the data."""
        if self.entries[-1].stage != 'loss':
            return np.asarray(self.entries[-1].prior)
        return np.asarray(next(entry.prior for entry in self.entries if entry.stage == 'loss'))

    @property
    def seen_prior(self) -> NDArray[np.float64]:
        """(C,) the distribution of the samples that the losses see: what the last data component left."""
        return np.asarray(next(entry.prior for entry in reversed(self.entries) if entry.stage in ('labels', 'data')))

    def residual(self, target: ArrayLike | None = None, tau: float = 1.0) -> NDArray[np.float64]:
        """Return the log-shift (C,) still to be applied to reach ``target`` (default uniform):
        tau * (log target - log prior)."""
        goal = np.full(len(self.classes), 1.0 / len(self.classes)) if target is None else class_prior(target)
        return tau * (np.log(goal) - np.log(self.prior))

    def declare(self, source: str, counts: ArrayLike) -> None:
        """Record that a data component (sampler, crop, paste) leaves samples distributed as ``counts`` (C,)."""
        prior = class_prior(counts, empty_class=1e-12)
        if prior.size != len(self.classes):
            raise ValueError(f'PriorLedger: {source} declares {prior.size} classes, expected {len(self.classes)}.')
        stages = {entry.stage for entry in self.entries}
        if stages & {'loss', 'post_hoc'}:
            raise ValueError(f'PriorLedger: {source} changes the data after the loss was set up; declare it before.')
        self.entries.append(PriorEntry(source, 'data', tuple(prior.tolist())))

    def apply(
        self,
        source: str,
        stage: Literal['loss', 'post_hoc'],
        shift: ArrayLike,
        *,
        assumed: ArrayLike | None = None,
        force: bool = False,
    ) -> None:
        """Record a correction: the encoded prior becomes prior * exp(shift), normalised.

        Args:
            source: who corrects, for messages.
            stage: 'loss' or 'post_hoc'.
            shift: (C,) change of the log prior: log w for class weights w, -tau * log n for balanced softmax.
            assumed: (C,) the distribution the component believes to be correcting; ``None`` when it took the
                ledger's own :meth:`residual`.
            force: accept a double correction (it is recorded all the same).

        Raises:
            DoubleCorrectionError: an earlier component changed the prior and ``assumed`` is not what it left, or a
                post-hoc step finds nothing left to correct. The message names the earlier components.
        """
        change = np.asarray(shift, dtype=np.float64)
        if change.shape != (len(self.classes),) or not np.isfinite(change).all():
            raise ValueError(f'PriorLedger: {source} gives a shift of shape {change.shape}, not finite or wrong size.')
        base = self.seen_prior if stage == 'loss' else self.prior
        if not force:
            self._refuse_double(source, stage, change, assumed, base)
        log_prior = np.log(base) + change
        prior = np.exp(log_prior - log_prior.max())
        self.entries.append(PriorEntry(source, stage, tuple((prior / prior.sum()).tolist())))

    def _refuse_double(
        self,
        source: str,
        stage: str,
        change: NDArray[np.float64],
        assumed: ArrayLike | None,
        base: NDArray[np.float64],
    ) -> None:
        """Raise when ``source`` would correct again what an entry after the first has corrected."""
        acting_before = ('data',) if stage == 'loss' else ('data', 'loss', 'post_hoc')
        earlier = [entry.source for entry in self.entries if entry.stage in acting_before]
        moves = np.ptp(change) > TOLERANCE
        if not earlier:
            return
        if stage == 'post_hoc' and not moves:
            raise DoubleCorrectionError(
                f'{source}: nothing is left to correct, {" and ".join(earlier)} already did. Remove {source}, or '
                f'give it another target_prior.\n{self.describe()}'
            )
        if assumed is None or not moves:
            return
        belief = class_prior(assumed)
        gap = float(np.abs(np.log(belief) - np.log(base)).max())
        if gap > TOLERANCE:
            raise DoubleCorrectionError(
                f'{source} corrects for a class distribution that {" and ".join(earlier)} already changed (largest '
                f'difference: factor {np.exp(gap):.3g}). Leave its class_counts out, so that it corrects only what '
                f'is left; or remove one of the two; or set force=True if you mean it.\n{self.describe()}'
            )

    def describe(self) -> str:
        """A small table: one line per entry with the prior of each class in percent."""
        width = max(len(entry.source) for entry in self.entries)
        lines = [f'{"class prior in %":<{width + 12}}' + ' '.join(f'{name[:9]:>9}' for name in self.classes)]
        for entry in self.entries:
            numbers = ' '.join(f'{100 * value:9.4g}' for value in entry.prior)
            lines.append(f'{entry.source:<{width}}  {entry.stage:<10}{numbers}')
        return '\n'.join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {'classes': list(self.classes), 'entries': [asdict(entry) for entry in self.entries]}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> PriorLedger:
        """Rebuild from :meth:`to_dict`."""
        entries = [PriorEntry(e['source'], e['stage'], tuple(e['prior'])) for e in record['entries']]
        ledger = cls(record['classes'], entries[0].prior, entries[0].source)
        ledger.entries = entries
        return ledger
