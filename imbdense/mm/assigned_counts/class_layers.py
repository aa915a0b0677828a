"""Where in a model of the hosts the class logits are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

LAYER_NAMES = (
    'retina_cls', 'atss_cls', 'gfl_cls', 'tood_cls', 'multi_level_conv_cls', 'rtm_cls', 'rpn_cls', 'conv_cls', 'fc_cls',
    'cls_branches', 'convs_pred', 'cls_embed', 'conv_seg',
)  # fmt: skip
"""The attribute names under which the hosts' heads keep the layers that end in class logits."""


@dataclass(frozen=True)
class ClassLayer:
    """The last layers of one head.

    Attributes:
        path: of the head in the model, such as 'bbox_head' or 'roi_head.bbox_head.0'.
        name: attribute of the head that holds them, one of :data:`LAYER_NAMES`.
        head: the head.
    """

    path: str
    name: str
    head: nn.Module

    @property
    def dotted(self) -> str:
        """Path of the attribute in the model."""
        return f'{self.path}.{self.name}' if self.path else self.name

    def biases(self) -> dict[str, Tensor]:
        """Name in the model's state dict -> bias of each layer (one for each pyramid level or decoder stage).

        Raises:
            ValueError: a layer has no bias.
        """
        found = {}
        modules = list(getattr(self.head, self.name).named_modules(prefix=self.dotted))
        if self.name == 'tood_cls':  # the score is the geometric mean with what the last of these layers gives
            last = len(self.head.cls_prob_module) - 1
            modules.append((f'{self.path}.cls_prob_module.{last}', self.head.cls_prob_module[last]))
        for name, module in modules:
            if getattr(module, 'weight', None) is None or list(module.children()):
                continue
            if not isinstance(getattr(module, 'bias', None), Tensor):
                raise ValueError(f'{name} ({type(module).__name__}) has no bias to set; build it with bias=True.')
            found[f'{name}.bias'] = module.bias
        return found


def unwrap(model: Any) -> Any:
    """The model inside DistributedDataParallel and the like."""
    while hasattr(model, 'module'):
        model = model.module
    return model


def find_class_layers(model: Any, target: str = 'auto') -> list[ClassLayer]:
    """Return the class layers of ``model`` in the order of its modules.

    Args:
        model: an mmdet or mmseg model.
        target: 'auto' = all; or the name of the attribute ('conv_seg'), its path ('decode_head.conv_seg'), or the path
            of the head ('decode_head').

    Raises:
        ValueError: nothing fits; the message lists what the model has.
    """
    found = list(_walk(unwrap(model)))
    chosen = [layer for layer in found if target in ('auto', layer.name, layer.dotted, layer.path)]
    if not chosen:
        has = ', '.join(layer.dotted for layer in found) or f'none of {", ".join(LAYER_NAMES)}'
        raise ValueError(f"target='{target}' fits no class layer of {type(unwrap(model)).__name__}. It has: {has}.")
    return chosen


def main_layer(layers: list[ClassLayer]) -> ClassLayer:
    """The head whose classes are those of the data set: not the proposals' and not an auxiliary one's."""
    for layer in layers:
        if layer.name != 'rpn_cls' and 'rpn' not in layer.path and 'auxiliary' not in layer.path:
            return layer
    return layers[0]


def _walk(model: nn.Module) -> Iterator[ClassLayer]:
    """Every module that owns one of the named layers."""
    for path, module in model.named_modules():
        for name in LAYER_NAMES:
            if isinstance(module._modules.get(name), nn.Module):
                yield ClassLayer(path, name, module)
