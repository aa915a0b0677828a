"""``imbdense.PostHocLogitAdjustHook``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from imbdense.core.checks import check_counts, check_number
from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import PriorLedger, class_prior
from imbdense.mm.class_counts import ClassCountsSource, default_unit, load_class_counts
from imbdense.mm.hooks.test_time_hook import TestTimeHook
from imbdense.mm.losses.overlap import OverlapLoss
from imbdense.registry import HOOKS


@HOOKS.register_module()
class PostHocLogitAdjustHook(TestTimeHook):
    """Shift the logits at validation and test towards another class prior, without training.

    ``z_c <- z_c + tau * (log q_c - log pi_c)`` with pi the prior the model encodes (the last entry of the ledger) and
    q the target (uniform by default): what a model trained with plain cross-entropy needs to decide for the balanced
    error. With a background channel, or sigmoids, the shift is centred so that the decision object / background is
    unmoved on average, see :func:`imbdense.core.losses.prior_shift.prior_shift`.

    Works with mmseg segmentors (their ``encode_decode``, so also sliding windows and test-time augmentation; class
    scores of MaskFormer heads in the log domain, log(s + 1e-6)) and with the RoI, dense and query heads of mmdet.
    Training is never touched: the shift is put in place before a validation or test loop and taken away after it.

    A model that was already balanced, by a sampler, a loss or this hook, is not balanced again: the ledger of the
    checkpoint (kept by :class:`~imbdense.mm.hooks.ClassCountHook`) or, without one, the losses of the config tell, and
    ``DoubleCorrectionError`` names who did it. Dice, Tversky and Lovász move the class scores as well, but not in a way
    a ledger could state: after them a full shift may overshoot, and the log says so.

    Args:
        tau: strength >= 0; choose it on validation data.
        target_prior: (C,) prior to move to; ``None`` = uniform.
        class_counts: counts of the training labels (list, path or content of class_counts.json), for models trained
            without ClassCountHook; ``None`` = the ledger of the checkpoint.
        force: adjust although the ledger says that somebody did.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021; Pan et al., NorCal, NeurIPS 2021.
    """

    card = 'logit_adjust'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        tau: float = 1.0,
        target_prior: Sequence[float] | None = None,
        class_counts: ClassCountsSource | None = None,
        force: bool = False,
    ) -> None:
        super().__init__(force)
        name = 'PostHocLogitAdjustHook'
        self.tau = check_number('tau', tau, low=0.0, owner=name)
        self.target_prior = None if target_prior is None else check_counts(
            target_prior, name='target_prior', owner=name
        ).numpy()
        self.class_counts = class_counts
        self._warned = False

    def calibration(self, runner: Any, model: Any, dataset: Any, ledger: PriorLedger | None) -> LogitCalibration:
        """Find the prior, refuse a double correction, return the shift (centred for detectors)."""
        self._warn_of_region_terms(model)
        ledger = self._made_ledger(model, dataset) if ledger is None else ledger
        assumed = None if self.class_counts is None else self._given_counts()
        prior = ledger.prior if assumed is None else class_prior(assumed)
        shift = PriorLedger(ledger.classes, prior).residual(self.target_prior, self.tau)
        ledger.apply('PostHocLogitAdjustHook', 'post_hoc', shift, assumed=assumed, force=self.force)
        MMLogger.get_current_instance().info(f'PostHocLogitAdjustHook: prior with the shift\n{ledger.describe()}')
        used = shift if hasattr(model, 'decode_head') else shift - float((prior * shift).sum())
        return LogitCalibration('logit-adjust', tuple(used.tolist()), parameters={'tau': self.tau})

    def _warn_of_region_terms(self, model: Any) -> None:
        """Once: name the losses whose effect on the class scores the ledger does not know."""
        found = sorted({type(module).__name__ for module in model.modules() if isinstance(module, OverlapLoss)})
        if found and not self._warned:
            self._warned = True
            MMLogger.get_current_instance().warning(
                f'PostHocLogitAdjustHook: {", ".join(found)} also moved the class scores, by how much no ledger knows. '
                f'The shift of tau={self.tau:g} may overshoot: compare with tau=0 on validation data, or let '
                '`imbdense calibrate` fit the strength.')

    def _made_ledger(self, model: Any, dataset: Any) -> PriorLedger:
        """Without one in the checkpoint: made of ``class_counts`` and of what the losses say they correct."""
        if self.class_counts is None:
            raise ValueError(
                'PostHocLogitAdjustHook: the checkpoint holds no class prior, because it was trained without '
                'imbdense.ClassCountHook. Give class_counts: the path that `imbdense stats CONFIG` prints, or a list.'
            )
        counts = self._given_counts()
        names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or range(counts.size)
        ledger = PriorLedger([str(name) for name in names], counts)
        for module in model.modules():
            if callable(getattr(module, 'declare_correction', None)):
                module.declare_correction(ledger)
        return ledger

    def _given_counts(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """``class_counts`` as an array."""
        if isinstance(self.class_counts, (list, tuple)):
            return check_counts(self.class_counts, owner='PostHocLogitAdjustHook').numpy()
        stored = load_class_counts(self.class_counts, 'PostHocLogitAdjustHook')
        return stored.of(default_unit(stored)).astype(np.float64)
