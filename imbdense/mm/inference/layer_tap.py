"""Read what a layer of a model puts out, with the size of the picture it saw."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

BACKBONE = 'backbone'


class LayerTap:
    """Forward hooks on a layer; the last call counts. As a context manager it leaves the model at the end.

    Args:
        model: without its distributed wrapper.
        layer: path of the layer, for example 'backbone.layer4'; ``None`` = the backbone, its last feature map. In a
            model that holds several of the kind (student and teacher) all are watched, and the one that was called last
            is read.

    Raises:
        ValueError: there is no such layer; the message lists near ones.
    """

    def __init__(self, model: nn.Module, layer: str | None = None) -> None:
        self.layer = layer or BACKBONE
        modules = dict(model.named_modules())
        found = [m for name, m in modules.items() if name == self.layer or name.endswith(f'.{self.layer}')]
        if not found:
            near = [name for name in modules if name and name.count('.') < 2][:40]
            raise ValueError(f'the model has no layer {self.layer!r}; it has {near}.')
        self._map: Tensor | None = None
        self._size: tuple[int, int] | None = None
        self._handles: list[Any] = [module.register_forward_hook(self._keep) for module in found]
        for name, module in modules.items():
            if name.split('.')[-1] == BACKBONE:
                self._handles.append(module.register_forward_pre_hook(self._keep_size))

    def __enter__(self) -> LayerTap:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def take(self) -> tuple[Tensor, tuple[int, int] | None]:
        """(feature maps (B, C, h, w) of the last call, size (H, W) of the network's input) and forget them.

        Raises:
            ValueError: the layer was not called, or puts out something else.
        """
        found, self._map = self._map, None
        if found is None:
            raise ValueError(f'the layer {self.layer!r} was not called, or puts out no feature map (B, C, h, w).')
        return found, self._size

    def remove(self) -> None:
        """Take the hooks off the model."""
        while self._handles:
            self._handles.pop().remove()

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        while isinstance(output, (tuple, list)) and output:
            output = output[-1]
        if isinstance(output, Tensor) and output.ndim == 4:
            self._map = output.detach()

    def _keep_size(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            self._size = (int(inputs[0].shape[-2]), int(inputs[0].shape[-1]))


@contextlib.contextmanager
def whole_pictures(model: nn.Module) -> Iterator[None]:
    """Let segmentors with a sliding window see the whole picture, so that a layer gives one map per picture."""
    changed = []
    for module in model.modules():
        settings = getattr(module, 'test_cfg', None)
        if isinstance(settings, dict) and settings.get('mode') == 'slide':
            changed.append(settings)
            settings['mode'] = 'whole'
    try:
        yield
    finally:
        for settings in changed:
            settings['mode'] = 'slide'
