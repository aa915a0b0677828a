"""The host's Runner with what a long run needs: whole checkpoints, exact resume, CPU ranks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.runner import Runner
from torch import nn

from imbdense.utils.files import FileWriteError

HOST_DEFAULTS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
SAFETY_HOOKS = (
    'imbdense.NanGuardHook', 'imbdense.ExactResumeHook', 'imbdense.GracefulStopHook', 'imbdense.ClassListHook')
"""Hooks that every run through :class:`SafeRunner` has."""


class SafeRunner(Runner):
    """mmengine's Runner, for any mmseg or mmdet config, with five differences.

    1. Checkpoints are written to a temporary file and renamed; ``AtomicCheckpointHook`` stands in for the host's
       ``CheckpointHook`` with the same arguments. A crash or a full disk never costs an existing checkpoint.
    2. :data:`SAFETY_HOOKS` are added unless the config has them.
    3. Several ranks work on CPU (gloo), which the host cannot wrap.
    4. A model without parameters can be tested on several ranks; the host cannot wrap it.
    5. The config that is dumped and stored stays the user's; nothing of the above is written into it.
    """

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Wrap for several ranks; on CPU without device ids, otherwise as the host does."""
        if self.distributed and next(model.parameters(), None) is None:
            return model  # nothing to keep equal between the ranks
        on_cpu = next((p.device.type for p in model.parameters()), 'cpu') == 'cpu' and not _accelerator()
        if not (self.distributed and on_cpu and model_wrapper_cfg is None):
            return super().wrap_model(model_wrapper_cfg, model)
        # SyncBatchNorm exists for GPUs only; each rank normalises its own batch, as the host does with one process.
        model = revert_sync_batchnorm(model)
        return MMDistributedDataParallel(
            module=model,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False),
        )

    def register_hooks(
        self,
        default_hooks: dict[str, Hook | dict[str, Any]] | None = None,
        custom_hooks: Sequence[Hook | dict[str, Any]] | None = None,
    ) -> None:
        """Register the config's hooks with the safe checkpoint hook, then the safety hooks it does not have.

        A hook that an experiment sets to ``None`` is left out (the host knows that of its own default hooks only).
        """
        given = dict(default_hooks or {})
        defaults = {name: hook for name, hook in given.items() if hook is not None or name in HOST_DEFAULTS}
        checkpoint = defaults.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
        if isinstance(checkpoint, dict) and checkpoint.get('type') == 'CheckpointHook':
            defaults['checkpoint'] = {**checkpoint, 'type': 'imbdense.AtomicCheckpointHook'}
        super().register_hooks(defaults, list(custom_hooks or []))
        present = {type(hook).__name__ for hook in self.hooks}
        for name in SAFETY_HOOKS:
            if name.rsplit('.', 1)[-1] not in present:
                self.register_hook({'type': name})

    def train(self) -> nn.Module:
        """Train, and close the hooks that hold the terminal or the signals however training ends."""
        try:
            return super().train()
        finally:
            for hook in self.hooks:
                if hasattr(hook, 'close'):
                    hook.close()

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Write ``out_dir/filename`` atomically (local files); arguments as in the host.

        Raises:
            FileWriteError: the disk is full or the folder cannot be written; earlier checkpoints are untouched.
        """
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        target = Path(out_dir) / filename
        temporary = target.with_name(f'.{target.name}.tmp-{os.getpid()}')
        try:
            super().save_checkpoint(out_dir, temporary.name, *args, **kwargs)
            with open(temporary, 'rb') as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        except OSError as error:
            raise FileWriteError(
                f'cannot write the checkpoint {target}: {error.strerror or error}. Earlier checkpoints are whole. Free '
                f'some space or choose another --work-dir, then go on with --resume.'
            ) from error
        finally:
            temporary.unlink(missing_ok=True)


def _accelerator() -> bool:
    """Whether the host would put the model on an accelerator."""
    from mmengine.device import get_device

    return str(get_device()) != 'cpu'
