"""What the hooks share that calibrate a finished model while it is validated and tested."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import DoubleCorrectionError, PriorLedger
from imbdense.mm.logit_attachment import attach_logit_map
from imbdense.mm.prior import HUB_LEDGER, declared_ledger

POST_HOC_HOOKS = ('PostHocLogitAdjustHook', 'CalibrationHook', 'FractalCalibration')
"""Hooks that shift logits at test time; two of them in one run correct twice."""


class TestTimeHook(Hook):
    """Puts a calibration in place before a validation or test loop and takes it away after it; never while training.

    Args:
        force: calibrate although the ledger of the model, or another hook, says that somebody corrected already.
    """

    __test__ = False  # its name looks like a test case to pytest

    def __init__(self, force: bool) -> None:
        self.force = bool(force)
        self._loaded: PriorLedger | None = None
        self._remove: list[Callable[[], None]] = []

    @abstractmethod
    def calibration(self, runner: Any, model: Any, dataset: Any, ledger: PriorLedger | None) -> LogitCalibration:
        """The calibration for this model. ``ledger`` is a copy of what the checkpoint says, ``None`` if nothing."""

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember what training did."""
        self._loaded = declared_ledger(checkpoint)

    def before_val(self, runner: Any) -> None:
        """Put it in place."""
        self._install(runner, runner.val_dataloader)

    def after_val(self, runner: Any) -> None:
        """Take it away."""
        self.remove()

    def before_test(self, runner: Any) -> None:
        """Put it in place."""
        self._install(runner, runner.test_dataloader)

    def after_test(self, runner: Any) -> None:
        """Take it away."""
        self.remove()

    def remove(self) -> None:
        """Undo everything this hook attached to the model; safe to call twice."""
        while self._remove:
            self._remove.pop()()

    def _install(self, runner: Any, loader: Any) -> None:
        """Attach the calibration."""
        self.remove()
        name = type(self).__name__
        others = [type(hook).__name__ for hook in runner.hooks if hook is not self]
        others = [other for other in others if other in POST_HOC_HOOKS]
        if others and not self.force:
            raise DoubleCorrectionError(f'{name}: {" and ".join(others)} shifts the logits too. Keep one of them.')
        model = runner.model
        while hasattr(model, 'module'):
            model = model.module
        stored = runner.message_hub.runtime_info.get(HUB_LEDGER)
        if stored is None and self._loaded is not None:
            stored = self._loaded.to_dict()
        ledger = None if stored is None else PriorLedger.from_dict(stored)
        found = self.calibration(runner, model, loader.dataset, ledger)
        self._remove = attach_logit_map(model, found, name)
        MMLogger.get_current_instance().info(f'{name}: {found.method} {found.parameters}')
