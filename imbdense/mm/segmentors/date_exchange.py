"""Exchange of features between dates inside a backbone of any host: hooks at the ends of its stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.nn.necks.exchange import EXCHANGES, exchange_halves


def attach_exchange(backbone: nn.Module, kinds: Sequence[str | None], p: int) -> None:
    """Exchange every p-th channel or column after the stages of ``backbone``, before the next one and its output.

    The backbone then expects both dates in one batch, date 1 in the first half. Nothing is added to its state.

    Knows ResNet and its kin (``res_layers``), MobileNetV2 and MiT (``layers``) and every backbone whose ``stages`` are
    modules that each give one map.

    Args:
        kinds: one per stage: 'channel', 'spatial' or ``None``.

    Raises:
        ValueError: an unknown kind, another number of stages, or a backbone whose stages cannot be found.
    """
    owner = 'SiameseSegmentor'
    for kind in kinds:
        check_choice('exchange', kind, (None, *EXCHANGES), owner=owner)
    ends = _stage_ends(backbone)
    if len(ends) != len(kinds):
        raise ValueError(
            f'{owner}: exchange must hold one of {(None, *EXCHANGES)} for each of the {len(ends)} stages of '
            f'{type(backbone).__name__}, but holds {len(kinds)}.'
        )
    for attach, kind in zip(ends, kinds):
        if kind is not None:
            attach(partial(exchange_halves, kind=kind, p=p))


def _stage_ends(backbone: nn.Module) -> list[Callable[[Callable[[Tensor], Tensor]], None]]:
    """For each stage a function that puts a map -> map behind it."""
    layers = getattr(backbone, 'layers', None)
    names = getattr(backbone, 'res_layers', layers)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return [partial(_after_map, getattr(backbone, name)) for name in names]
    if isinstance(layers, nn.ModuleList) and all(isinstance(layer, nn.ModuleList) for layer in layers):
        return [partial(_after_tokens, layer[0], layer[-1]) for layer in layers]
    if isinstance(getattr(backbone, 'stages', None), nn.ModuleList):
        return [partial(_after_map, stage) for stage in backbone.stages]
    raise ValueError(
        f'SiameseSegmentor: the stages of {type(backbone).__name__} are not known (it has neither res_layers, layers '
        f'of modules nor stages). Use a backbone of the ResNet or MiT family, or leave exchange out.'
    )


def _after_map(stage: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Behind a module that gives a map."""

    def hook(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise TypeError(
                f'SiameseSegmentor: {type(module).__name__} gives no map but a {type(output).__name__}; exchange does '
                f'not know this backbone.'
            )
        return change(output)

    stage.register_forward_hook(hook)


def _after_tokens(embed: nn.Module, norm: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Behind a norm of tokens (2 N, L, C), whose grid the patch embedding of the same stage tells."""
    grid: dict[str, tuple[int, int]] = {}

    def remember(module: nn.Module, inputs: Any, output: Any) -> None:
        grid['size'] = tuple(output[1])

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        changed = change(output.transpose(1, 2).unflatten(2, grid['size']))
        return changed.flatten(2).transpose(1, 2)

    embed.register_forward_hook(remember)
    norm.register_forward_hook(hook)
