"""Mixed precision on a CPU, which the host's AmpOptimWrapper refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from imbdense.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAutocastOptimWrapper(OptimWrapper):
    """Run the training forward pass under ``torch.autocast('cpu', bfloat16)``.

    bfloat16 has the exponent range of float32, so no loss scaling is needed and weights and optimiser state stay
    float32. Faster only on CPUs with bfloat16 instructions (AVX512-BF16, AMX), elsewhere often slower; its use on any
    CPU is to see whether a loss is safe in low precision. ``imbdense train --amp`` chooses it where there is no GPU.
    Arguments, state and accumulation are those of ``OptimWrapper``.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on top of the host's context (gradient accumulation)."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
