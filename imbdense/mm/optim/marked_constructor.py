"""``imbdense.MarkedOptimWrapperConstructor``."""

from __future__ import annotations

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from imbdense.registry import OPTIM_WRAPPER_CONSTRUCTORS

MARK = '_no_weight_decay'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MarkedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """No weight decay for the parameters whose modules marked them so.

    A state-space layer marks its decay rates A and direct weights D with ``_no_weight_decay``: shrinking log A towards
    zero is no regulariser, it changes how far the layer remembers. The host does not know such marks. All keys of its
    ``paramwise_cfg`` work as they do there; a mark goes before them.

    Args:
        optim_wrapper_cfg: config of the wrapper.
        paramwise_cfg: see mmengine's ``DefaultOptimWrapperConstructor``.
    """

    card = 'mamba_fcs'
    tasks = ('segmentation', 'detection', 'change_detection')

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        # With no paramwise_cfg at all the host makes one group of all parameters; a neutral key makes it list them.
        super().__init__(optim_wrapper_cfg, {'custom_keys': {}, **(paramwise_cfg or {})})

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, prefix: str = '', is_dcn_module: Any = None
    ) -> None:
        """The host's groups, marked ones without decay."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return  # called again for every submodule; once at the end is enough
        for group in params:
            if all(getattr(param, MARK, False) for param in group['params']):
                group['weight_decay'] = 0.0
