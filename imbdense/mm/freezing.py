"""Which parameters of a running training learn."""

from __future__ import annotations

import gc
import re
from collections.abc import Collection
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def unwrapped(model: Any) -> Any:
    """The model inside the wrappers for several ranks."""
    while hasattr(model, 'module'):
        model = model.module
    return model


def learning_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters that learn now."""
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def matching_parameters(names: Collection[str], pattern: str, owner: str) -> set[str]:
    """Return those of ``names`` in which the regular expression ``pattern`` is found.

    Raises:
        ValueError: the pattern is no regular expression, or is found in none.
    """
    try:
        chosen = {name for name in names if re.search(pattern, name)}
    except re.error as error:
        raise ValueError(f'{owner}: {pattern!r} is no regular expression: {error}.') from error
    if not chosen:
        heads = sorted({'.'.join(name.split('.')[:2]) for name in names})
        raise ValueError(
            f'{owner}: no parameter that learns has a name with {pattern!r} in it. They begin with {heads}.'
        )
    return chosen


def set_learning(runner: Any, names: Collection[str]) -> None:
    """Let exactly the parameters ``names`` learn; the others get no gradient, so that no optimiser moves them.

    On several ranks the model is wrapped anew, since the wrapper waits for the gradients it knew when it was made.
    """
    changed = False
    for name, parameter in unwrapped(runner.model).named_parameters():
        learns = name in names
        changed = changed or parameter.requires_grad != learns
        parameter.requires_grad_(learns)
        if not learns:
            parameter.grad = None  # from an accumulation that is not finished
    if changed:
        rewrap(runner)


def rewrap(runner: Any) -> None:
    """Wrap the model for several ranks again, as the runner did, with the parameters that learn now."""
    if not is_model_wrapper(runner.model):
        return
    model = runner.model.module
    runner.model = model
    gc.collect()  # the old wrapper listens to the parameters as long as it lives
    runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """The normalisation layers with running statistics none of whose parameters learns."""
    return [
        module for module in model.modules()
        if isinstance(module, _NormBase) and not any(parameter.requires_grad for parameter in module.parameters())
    ]
