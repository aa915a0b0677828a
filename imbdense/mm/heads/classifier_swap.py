"""Build a head of the host and put another classifier in the place of its last layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.config import ConfigDict
from torch import nn

from imbdense.registry import MODELS

Make = Callable[[nn.Module], nn.Module]


def head_with_classifier(
    base: Mapping[str, Any], names: Sequence[str], make: Make, owner: str, extra: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build ``base`` in the default scope of the run and replace its classifier by ``make(classifier)``.

    The result is the head of ``base`` itself: its class, attributes, methods and the names of its other parameters are
    what the host made them, so checkpoints, ``paramwise_cfg``, EMA, test-time augmentation and whatever else knows the
    head go on working. Only the module called, say, ``conv_seg`` is another one, under the same name.

    Args:
        base: config of a head.
        names: attributes to look for; the first that exists is replaced. A ``ModuleList`` (one classifier per decoder
            layer or level) is replaced entry by entry; entries that are one shared module stay shared.
        make: gets the linear layer or convolution of the host and returns its replacement.
        owner: named in messages.
        extra: further entries for ``base``.

    Raises:
        TypeError: ``base`` is not a config.
        ValueError: the head has none of the attributes, or one is not a linear layer or convolution.
    """
    if not isinstance(base, Mapping) or 'type' not in base:
        raise TypeError(
            f"{owner}: base must be the config of a head, base=dict(type='FCNHead', ...), but got "
            f'{type(base).__name__}.'
        )
    head = MODELS.build(ConfigDict({**base, **(extra or {})}))  # some heads read their config by attribute
    name = next((name for name in names if isinstance(getattr(head, name, None), nn.Module)), None)
    if name is None:
        raise ValueError(
            f'{owner}: {type(head).__name__} has no classifier called {" or ".join(names)}; it makes its scores in '
            f'another way and can not be changed like this.'
        )
    old = getattr(head, name)
    made: dict[int, nn.Module] = {}

    def replacement(module: nn.Module) -> nn.Module:
        if not isinstance(module, (nn.Linear, nn.Conv2d)):
            raise ValueError(
                f'{owner}: {name} of {type(head).__name__} is a {type(module).__name__}; only linear layers and '
                f'convolutions can be replaced.'
            )
        if id(module) not in made:
            made[id(module)] = make(module)
        return made[id(module)]

    new = nn.ModuleList([replacement(m) for m in old]) if isinstance(old, nn.ModuleList) else replacement(old)
    setattr(head, name, new)
    return head


def cosine_like(module: nn.Module, temperature: float, bias: bool) -> nn.Module:
    """A cosine classifier of the size of a linear layer or convolution; an existing bias keeps its values."""
    from imbdense.nn.classifiers import CosineConv2d, CosineLinear

    if isinstance(module, nn.Linear):
        new: nn.Module = CosineLinear(module.in_features, module.out_features, temperature, bias)
    else:
        new = CosineConv2d(
            module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding,
            temperature, bias,
        )  # fmt: skip
    if bias and module.bias is not None:
        new.bias.data.copy_(module.bias.data)
    return new
