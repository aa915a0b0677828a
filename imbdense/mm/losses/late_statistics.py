"""Statistics that a loss can only make at its first step, when the head's logits tell how many classes there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class LateStatistics(nn.Module):
    """Keeps modules that are made late: in the state_dict, but not among ``modules()`` and ``buffers()``.

    mmengine's averaged models (EMAHook) pair the buffers of two copies of a model by their order. A buffer that appears
    in one of them at the first step would shift all that follow: the running variance of one layer would be averaged
    with the running mean of the next, or the shapes clash and training stops. So late modules follow ``train()``,
    ``to()`` and ``deepcopy``, are saved and restored under ``<name>.``, and are invisible otherwise.
    """

    def late(self, name: str) -> Any:
        """The module ``name``, ``None`` before it was made."""
        return self.__dict__.get('_late', {}).get(name)

    def late_on(self, name: str, device: torch.device) -> Any:
        """The same on ``device``: what a checkpoint brought lies on the CPU."""
        module = self.late(name)
        if module is not None and next(module.buffers()).device != device:
            module.to(device)
        return module

    def keep_late(self, name: str, module: nn.Module) -> Any:
        """Keep ``module`` under ``name`` from now on, in the mode of this loss, and return it."""
        if '_late' not in self.__dict__:
            self.__dict__['_late'] = {}
            self._register_state_dict_hook(_save_late)
        self.__dict__['_late'][name] = module.train(self.training)
        return module

    def make_late(self, name: str, state: dict[str, Tensor]) -> nn.Module | None:
        """Make the module ``name`` for the tensors of a checkpoint; ``None`` = the checkpoint's are dropped."""
        return None

    def restore_late(self, name: str, state_dict: dict[str, Any], prefix: str) -> None:
        """Take the tensors of ``name`` out of ``state_dict`` and load them; to be called from _load_from_state_dict."""
        own = f'{prefix}{name}.'
        state = {key[len(own) :]: state_dict.pop(key) for key in list(state_dict) if key.startswith(own)}
        if state:
            module = self.late(name) or self.make_late(name, state)
            if module is not None:
                self.keep_late(name, module).load_state_dict(state)

    def train(self, mode: bool = True) -> LateStatistics:
        """Late modules follow."""
        for module in self.__dict__.get('_late', {}).values():
            module.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LateStatistics:
        for module in self.__dict__.get('_late', {}).values():
            module._apply(fn, recurse)
        return super()._apply(fn, recurse)


def _save_late(module: LateStatistics, state_dict: dict[str, Any], prefix: str, _: Any) -> None:
    """State-dict hook, which both torch and mmengine call: add the late tensors."""
    for name, late in module.__dict__['_late'].items():
        for key, value in late.state_dict().items():
            state_dict[f'{prefix}{name}.{key}'] = value
