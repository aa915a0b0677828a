"""A live progress bar for training and validation."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from imbdense.core.checks import check_integer
from imbdense.registry import HOOKS


@HOOKS.register_module()
class RichProgressHook(Hook):
    """Show iteration, remaining time, loss, learning rate and memory in one live line.

    Args:
        interval: the line is renewed, and the loss read from the device, every ``interval`` iterations.

    Where standard output is no terminal (a file, CI, a batch system) nothing is drawn: the lines of the host's
    ``LoggerHook`` remain the record. Log lines appear above the bar. Drawn by rank 0 only; needs ``rich``.
    """

    card = 'rich_progress'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'LOW'

    def __init__(self, interval: int = 10) -> None:
        self.interval = check_integer('interval', interval, low=1, owner='RichProgressHook')
        self._progress: Any = None
        self._tasks: dict[str, int] = {}
        self._streams: list[tuple[logging.StreamHandler[Any], Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Draw the bar of the whole training, at the resumed iteration."""
        if self._start(runner):
            self._add('train', runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Renew the line every ``interval`` iterations; nothing is read from the device in between."""
        done = runner.iter + 1
        if 'train' not in self._tasks or (done % self.interval and done != runner.max_iters):
            return
        rates = next(iter(runner.optim_wrapper.get_lr().values()), [0.0])
        note = f'lr {rates[0]:.2e}  {_memory()}'
        if outputs and isinstance(outputs.get('loss'), torch.Tensor):
            note = f'loss {float(outputs["loss"]):.4f}  {note}'
        self._progress.update(self._tasks['train'], completed=done, note=note)

    def before_val_epoch(self, runner: Runner) -> None:
        """Add the bar of this evaluation."""
        self._begin(runner, 'val', runner.val_dataloader)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the bar of the evaluation."""
        self._advance('val', batch_idx)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the bar of the evaluation away."""
        self._end('val')

    def before_test_epoch(self, runner: Runner) -> None:
        """Add the bar of the test."""
        self._begin(runner, 'test', runner.test_dataloader)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the bar of the test."""
        self._advance('test', batch_idx)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the bar of the test away."""
        self._end('test')

    def after_run(self, runner: Runner) -> None:
        """Give the terminal back."""
        self.close()

    def close(self) -> None:
        """Stop drawing and give the loggers their streams back; safe to call twice."""
        if self._progress is None:
            return
        self._progress.stop()
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._progress, self._tasks, self._streams = None, {}, []

    def _start(self, runner: Runner) -> bool:
        """Begin drawing; False where there is no terminal, this is not rank 0, or it has begun."""
        if self._progress is not None:
            return True
        if not (is_main_process() and sys.stdout.isatty()):
            return False
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        terminal = sys.stdout
        self._progress = Progress(
            TextColumn('{task.description:>5}'), BarColumn(bar_width=None), MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True), TextColumn('{task.fields[note]}'),
        )
        self._progress.start()
        # rich replaces sys.stdout to print above the bar; the logger took hold of the old one before.
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is terminal:
                self._streams.append((handler, terminal))
                handler.setStream(sys.stdout)
        atexit.register(self.close)
        return True

    def _begin(self, runner: Runner, name: str, loader: Any) -> None:
        """Start a bar over ``loader``."""
        if self._start(runner):
            self._add(name, len(loader), 0)

    def _add(self, name: str, total: int, completed: int) -> None:
        """Add a line to the display."""
        self._tasks[name] = self._progress.add_task(name, total=total, completed=completed, note='')

    def _advance(self, name: str, batch_idx: int) -> None:
        """Move the bar ``name`` behind batch ``batch_idx``."""
        if name in self._tasks:
            self._progress.update(self._tasks[name], completed=batch_idx + 1)

    def _end(self, name: str) -> None:
        """Take the bar ``name`` away."""
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


def _memory() -> str:
    """Peak memory: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return f'GPU {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB'
    import resource

    return f'RAM {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB'
