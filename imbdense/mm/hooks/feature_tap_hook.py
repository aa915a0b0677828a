"""``imbdense.FeatureTapHook``."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from torch import nn

from imbdense.registry import HOOKS

CLASSIFIERS = ('conv_seg', 'fc_cls', 'cls_embed', 'conv_cls')
"""Names of the last class layer in the heads of mmseg (decode heads) and mmdet (box heads, mask transformers)."""


@HOOKS.register_module()
class FeatureTapHook(Hook):
    """Hand a head's pre-classifier features to a loss that needs them, without touching the head.

    Before training, every module with ``take_features`` (:class:`~imbdense.mm.losses.influence_balanced.
    InfluenceBalancedLoss`) is looked up; the nearest module around it that has the class layer is its head. In train
    mode the layer's input is handed over before each call of the layer; after training the taps are taken away.
    Nothing is saved or reduced.

    Args:
        layer: name of the class layer in the head; ``None`` = the first of ``conv_seg`` (mmseg decode heads),
            ``fc_cls`` (mmdet box heads), ``cls_embed``, ``conv_cls``.

    Raises:
        ValueError: before training, when a loss wants features and no head around it has the layer; the message lists
            the layers that are there.
    """

    card = 'influence_balanced'
    tasks = ('segmentation', 'detection', 'points')

    def __init__(self, layer: str | None = None) -> None:
        self.layers = CLASSIFIERS if layer is None else (layer,)
        self._handles: list[Any] = []

    def before_train(self, runner: Any) -> None:
        """Attach the taps."""
        self.attach(getattr(runner.model, 'module', runner.model))

    def after_train(self, runner: Any) -> None:
        """Take them away."""
        self.remove()

    def attach(self, model: nn.Module) -> None:
        """Find the losses and their heads in ``model`` and connect them."""
        self.remove()
        for name, module in list(model.named_modules()):
            if callable(getattr(module, 'take_features', None)):
                head, layer = self._head_around(model, name)
                self._handles.append(layer.register_forward_pre_hook(_Tap(head, module)))

    def remove(self) -> None:
        """Disconnect; safe to call twice."""
        while self._handles:
            self._handles.pop().remove()

    def _head_around(self, model: nn.Module, name: str) -> tuple[nn.Module, nn.Module]:
        """The nearest ancestor of module ``name`` that has the class layer, and that layer."""
        parts = name.split('.')
        for depth in range(len(parts) - 1, -1, -1):
            head = model.get_submodule('.'.join(parts[:depth]))
            for layer in self.layers:
                found = getattr(head, layer, None)
                if isinstance(found, nn.Module):
                    return head, found
        near = model.get_submodule('.'.join(parts[:-1]))
        raise ValueError(
            f'FeatureTapHook: {name} needs the input of the class layer, but no module around it has one called '
            f'{" or ".join(self.layers)}. Name it: FeatureTapHook(layer=...); the nearest module has '
            f'{[child for child, _ in near.named_children()]}.'
        )


class _Tap:
    """Forward pre-hook of the class layer."""

    def __init__(self, head: nn.Module, loss: nn.Module) -> None:
        self.head = head
        self.loss = loss

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self.head.training:
            self.loss.take_features(inputs[0])
