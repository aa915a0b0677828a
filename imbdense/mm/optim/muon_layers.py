"""What a weight is in its model: stem, classifier, attention, grouped convolution or plain hidden matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

HEAD_KEYS = (
    'conv_seg', 'fc_seg', 'cls_embed', 'mask_embed', 'fc_cls', 'fc_reg', 'fc_mask', 'conv_cls', 'conv_reg', 'conv_obj',
    'conv_centerness', 'convs_pred', 'retina_cls', 'retina_reg', 'rpn_cls', 'rpn_reg', 'atss_cls', 'atss_reg',
    'atss_centerness', 'gfl_cls', 'gfl_reg', 'rtm_cls', 'rtm_reg', 'rtm_obj', 'cls_branches', 'reg_branches',
    'heatmap_head', 'logits', 'predictor',
)  # fmt: skip
"""Parts of module names that mark what maps features to classes, boxes or masks."""
QKV = ('q', 'k', 'v')
_PART_OF = {f'{word}{end}': word[0] for word in ('q', 'k', 'v', 'query', 'key', 'value') for end in ('', '_proj')}


@dataclass(frozen=True)
class Weight:
    """One parameter with the layer that owns it, and whether that is of :func:`first_layers`, :func:`head_layers`."""

    name: str
    param: Tensor
    layer: nn.Module
    first: bool
    head: bool

    @property
    def own(self) -> str:
        """Its name inside the layer."""
        return self.name.rsplit('.', 1)[-1]

    @property
    def layer_name(self) -> str:
        """The name of the layer inside its parent; '' at the root."""
        return self.name.split('.')[-2] if '.' in self.name else ''

    @property
    def is_layer_matrix(self) -> bool:
        """Whether it is the weight of a linear, convolution or attention layer."""
        if isinstance(self.layer, nn.MultiheadAttention):
            return self.own.endswith('proj_weight')
        return self.own == 'weight' and is_matrix_layer(self.layer)

    @property
    def groups(self) -> int:
        """Groups of a convolution, else 1."""
        return int(getattr(self.layer, 'groups', 1))

    @property
    def fused(self) -> bool:
        """Whether it holds the rows of q, k and v, one third each."""
        named = self.own == 'in_proj_weight' or (self.own == 'weight' and self.layer_name.endswith('qkv'))
        return named and self.is_layer_matrix and self.param.shape[0] % 3 == 0

    @property
    def part(self) -> str:
        """'q', 'k' or 'v' for a projection of its own, else ''."""
        return _PART_OF.get(self.own.removesuffix('_weight') if self.own != 'weight' else self.layer_name, '')


def weights_of(model: nn.Module, head_keys: Sequence[str] = HEAD_KEYS) -> Iterator[Weight]:
    """Every trainable parameter once, in order of registration; a shared one under its first name."""
    first, heads = first_layers(model), head_layers(model, head_keys)
    seen = set()
    for prefix, layer in model.named_modules():
        for own, param in layer.named_parameters(recurse=False):
            if param.requires_grad and id(param) not in seen:
                seen.add(id(param))
                yield Weight(f'{prefix}.{own}' if prefix else own, param, layer, layer in first, layer in heads)


def first_layers(model: nn.Module) -> set[nn.Module]:
    """The first convolution (or linear layer) of every backbone; of the model where nothing is called backbone."""
    backbones = [module for name, module in model.named_modules() if re.search(r'(^|[._])backbone$', name)]
    found = (next(_matrix_layers(backbone), None) for backbone in backbones or [model])
    return {layer for layer in found if layer is not None}


def head_layers(model: nn.Module, head_keys: Sequence[str] = HEAD_KEYS) -> set[nn.Module]:
    """The last layer of every module whose own name holds one of ``head_keys``; of each member of a list."""
    found: set[nn.Module] = set()
    for name, module in model.named_modules():
        if any(key in name.rsplit('.', 1)[-1] for key in head_keys):
            members = module.children() if isinstance(module, (nn.ModuleList, nn.ModuleDict)) else [module]
            found.update(layer for member in members for layer in [*_matrix_layers(member)][-1:])
    return found


def is_matrix_layer(module: nn.Module) -> bool:
    """A linear or convolution layer; also deformable convolutions, which are no subclass of torch's."""
    if isinstance(module, nn.Linear):
        return True
    weight = getattr(module, 'weight', None)
    channels = [getattr(module, name, None) for name in ('out_channels', 'in_channels')]
    shaped = hasattr(module, 'kernel_size') and hasattr(module, 'groups')
    return shaped and isinstance(weight, Tensor) and weight.ndim >= 3 and weight.shape[0] in channels


def _matrix_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Linear and convolution layers, in order of registration."""
    return (layer for layer in module.modules() if is_matrix_layer(layer))
