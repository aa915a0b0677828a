"""Delete an old checkpoint only after the new one is safely on the disk; say which score ``save_best`` can be."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from imbdense.registry import HOOKS


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """The host's CheckpointHook, but old checkpoints are deleted after the new one is written.

    The host deletes first: with ``max_keep_ckpts=1`` or ``save_best`` a full disk or a crash at that moment leaves
    nothing. Arguments and file names are those of ``CheckpointHook``. ``imbdense train`` puts this hook in the place of
    ``CheckpointHook`` in every config. Needs room for one checkpoint more than are kept. Rank 0 writes; an optimizer
    whose state lies on several ranks (it has ``consolidate_state``) is gathered by all of them before.

    A score of ``save_best`` that a validation leaves undefined (no change anywhere, say) is no best one, and training
    goes on; one that no metric gives is an error that names those there are.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        self._consolidate(runner)
        with self._removals_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if self.save_best:
            metrics = self._with_undefined(runner, metrics)
            self._consolidate(runner)
        with self._removals_last():
            super()._save_best_checkpoint(runner, metrics)

    def _with_undefined(self, runner: Runner, metrics: dict[str, Any]) -> dict[str, Any]:
        """The scores, with the worst of all values where one of ``save_best`` is undefined this time."""
        found = dict(metrics)
        for key, rule in zip(self.key_indicators, self.rules):
            if key == 'auto' or key in metrics:
                continue
            if not any(key in getattr(metric, 'undefined', ()) for metric in runner.val_loop.evaluator.metrics):
                near = difflib.get_close_matches(key, metrics, n=1)
                names = ', '.join(name for name in metrics if not name.endswith(('_lo', '_hi')))
                hint = f' Did you mean {near[0]!r}?' if near else ''
                raise ValueError(
                    f'save_best={key!r} is no score of val_evaluator, which gives {names}.{hint} Set it in '
                    f"default_hooks=dict(checkpoint=dict(save_best=..., rule='greater')) and go on with --resume."
                )
            print_log(f'save_best: {key} is undefined on this validation set now, so it is no best checkpoint.',
                      logger='current', level=30)
            found[key] = self.init_value_map[rule]
        return found

    def _consolidate(self, runner: Runner) -> None:
        """Let all ranks bring together an optimizer state that is spread over them."""
        consolidate = getattr(getattr(runner.optim_wrapper, 'optimizer', None), 'consolidate_state', None)
        if self.save_optimizer and callable(consolidate):
            consolidate()

    @contextlib.contextmanager
    def _removals_last(self) -> Iterator[None]:
        """Collect removals while the host saves; do them when it succeeded, sparing what was just written."""
        if isinstance(self.file_backend, _DeferredRemovals):  # the host saves "last" again inside "best"
            yield
            return
        backend = self.file_backend
        deferred = self.file_backend = _DeferredRemovals(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', None) or {'best': getattr(self, 'best_ckpt_path', None)}
        written = {str(path) for path in (self.last_ckpt, *best.values())}
        for path in deferred.files:
            if path not in written and backend.isfile(path):
                backend.remove(path)


class _DeferredRemovals:
    """A file backend that notes the files to remove instead of removing them."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.files: list[str] = []

    def remove(self, path: Any) -> None:
        """Note ``path`` for later."""
        self.files.append(str(path))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['_backend'], name)
