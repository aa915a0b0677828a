"""Stop at the first loss that is not finite, and say where it came from."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from imbdense.core.checks import check_integer
from imbdense.registry import HOOKS


class NonFiniteLossError(FloatingPointError):
    """A loss became NaN or infinite; the message names iteration, loss terms and image files."""


@HOOKS.register_module()
class NanGuardHook(Hook):
    """Stop training when a loss is NaN or infinite, naming iteration, loss terms and files.

    Without it the host goes on training NaN weights to the last iteration and overwrites good checkpoints with them.

    Args:
        interval: on an accelerator, losses are read every ``interval`` iterations (reading makes the device wait) and
            always before a checkpoint is written; the first bad iteration in between is still the one that is named.
            On CPU every iteration is read at once.

    Ranks: each rank looks at its own losses; one that raises ends the job. Loss scaling of mixed precision is not
    disturbed: it skips steps with infinite *gradients*, while the unscaled loss values looked at here stay finite.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 20) -> None:
        self.interval = check_integer('interval', interval, low=1, owner='NanGuardHook')
        self._pending: deque[tuple[int, dict[str, torch.Tensor], Any]] = deque()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Remember the losses of this iteration; look at them now (CPU) or every ``interval`` iterations."""
        losses = {
            key: value.detach() for key, value in (outputs or {}).items()
            if 'loss' in key and isinstance(value, torch.Tensor)
        }
        if not losses:
            return
        self._pending.append((runner.iter + 1, losses, batch_files(data_batch)))
        on_cpu = next(iter(losses.values())).device.type == 'cpu'
        if on_cpu or len(self._pending) >= self.interval:
            self._check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """No checkpoint is written while a loss waits to be looked at."""
        self._check(runner)

    def _check(self, runner: Runner) -> None:
        """Read all pending losses in one transfer and raise for the first bad iteration."""
        if not self._pending:
            return
        pending, self._pending = list(self._pending), deque()
        flat = torch.stack([torch.stack([v.float().mean() for v in losses.values()]).sum() for _, losses, _ in pending])
        if bool(torch.isfinite(flat).all()):
            return
        first = int((~torch.isfinite(flat)).nonzero()[0])
        iteration, losses, files = pending[first]
        values = {key: float(value.float().mean()) for key, value in losses.items()}
        bad = ', '.join(f'{key} = {value}' for key, value in values.items() if not abs(value) < float('inf'))
        raise NonFiniteLossError(
            f'the loss is not finite at iteration {iteration}: {bad or values}. Files of the batch: {files}. '
            f'The last checkpoint in {runner.work_dir} is from before. Usual cures: a smaller learning rate or a '
            f"warm-up; optim_wrapper=dict(clip_grad=dict(max_norm=10)); without --amp; and `imbdense check CONFIG` "
            f'for label values or boxes that are out of range.'
        )


def batch_files(data_batch: Any) -> str:
    """The image files of a batch as the hosts pack it, shortened to eight names."""
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    names = [str(getattr(sample, 'img_path', '?')) for sample in samples] if isinstance(samples, (list, tuple)) else []
    return (', '.join(names[:8]) + (f' and {len(names) - 8} more' if len(names) > 8 else '')) or 'unknown'
