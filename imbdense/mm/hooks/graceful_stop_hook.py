"""Ctrl-C and SIGTERM end training at the end of an iteration, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from imbdense.registry import HOOKS


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """On Ctrl-C or SIGTERM finish the iteration, save a checkpoint and stop; a second signal stops at once.

    An iteration loop saves ``iter_N.pth`` for the iteration reached. An epoch loop can only resume at the start of an
    epoch, so nothing is saved there and the last whole epoch counts. Then ``KeyboardInterrupt`` is raised.

    Ranks: active only with one process. With several, ranks would stop in different iterations and wait for each
    other, so the signal ends the job at once and the last periodic checkpoint counts.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._asked = False
        self._previous: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Take over the signals."""
        if runner.world_size > 1 or threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Save and stop when a signal came during this iteration."""
        if not self._asked:
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and not hook.by_epoch and hasattr(runner.train_loop, 'max_iters'):
                hook._save_checkpoint(runner)
        self.close()
        raise KeyboardInterrupt

    def after_train(self, runner: Runner) -> None:
        """Training is over."""
        self.close()

    def close(self) -> None:
        """Give the signals back."""
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """First signal: note it. Second: stop at once."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print('\nstopping after this iteration; once more to stop at once', flush=True)
