"""Guided loss scaling for any head of a host: one ``type`` changes in a config.

The result is the host's head itself, of a class made on the fly that also is a :class:`GuidedMixin`. So all methods,
``isinstance`` checks and parameter names stay, and checkpoints of the plain head fit; only ``balancer.*`` is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from mmengine.registry import MODELS as HOST_MODELS
from torch import nn

from imbdense.mm.heads.guided import BalancerConfig, GuidedMixin, SamplingFreeMixin
from imbdense.registry import MODELS

HeadConfig = str | dict[str, Any]


@MODELS.register_module()
class SamplingFreeWrapper:
    """Guided loss scaling for any detection head that has ``loss_by_feat`` (GFL, TOOD, VFNet, RTMDet, PAA, ...).

    In a config that has ``bbox_head=dict(type='GFLHead', ...)``, write
    ``bbox_head=dict(type='imbdense.SamplingFreeWrapper', head='GFLHead', ...)``. The other arguments stay those of the
    head, which reports the ones it does not know. The result is a ``GFLHead`` with a balancer.

    Args:
        head: class name of the head (with its scope where that is not the default one), or its whole config.
        balancer: config of the balancer; ``None`` = ``imbdense.GuidedLossBalancer``.
        cls_keys: names of its classification terms.
        guide_keys: names of its terms that see foreground only.
        arguments: of the head.
    """

    card = 'sampling_free'
    tasks = ('detection',)

    def __new__(  # type: ignore[misc]
        cls,
        head: HeadConfig,
        balancer: BalancerConfig = None,
        cls_keys: Sequence[str] = ('loss_cls',),
        guide_keys: Sequence[str] = ('loss_bbox',),
        **arguments: Any,
    ) -> nn.Module:
        """Build the head and give it the balancer."""
        return guided_head(head, arguments, SamplingFreeMixin, balancer, cls_keys, guide_keys)


@MODELS.register_module()
class GuidedDecodeHead:
    """Guided loss scaling for any segmentation head: cross-entropy is scaled to the size of its Dice, Lovasz, ....

    In a config that has ``decode_head=dict(type='FCNHead', ..., loss_decode=[...])``, write
    ``decode_head=dict(type='imbdense.GuidedDecodeHead', head='FCNHead', ...)``. The other arguments stay those of the
    head, which reports the ones it does not know. The result is an ``FCNHead`` with a balancer.

    Args:
        head: class name of the head, or its whole config.
        balancer: config of the balancer; ``None`` = ``imbdense.GuidedLossBalancer``.
        cls_keys: ``loss_name`` of the terms to be scaled; ``None`` = that of the first loss of ``loss_decode``.
        guide_keys: ``loss_name`` of the terms that guide; ``None`` = those of the other losses of ``loss_decode``.
        arguments: of the head.
    """

    card = 'sampling_free'
    tasks = ('segmentation',)

    def __new__(  # type: ignore[misc]
        cls,
        head: HeadConfig,
        balancer: BalancerConfig = None,
        cls_keys: Sequence[str] | None = None,
        guide_keys: Sequence[str] | None = None,
        **arguments: Any,
    ) -> nn.Module:
        """Build the head and give it the balancer."""
        return guided_head(head, arguments, GuidedMixin, balancer, cls_keys, guide_keys)


def guided_head(
    head: HeadConfig,
    arguments: dict[str, Any],
    mixin: type[GuidedMixin],
    balancer: BalancerConfig,
    cls_keys: Sequence[str] | None,
    guide_keys: Sequence[str] | None,
) -> nn.Module:
    """Build ``head`` and turn it into a guided one.

    Raises:
        TypeError: the head has no ``loss_by_feat``.
        ValueError: keys are to be found from ``loss_decode``, which has fewer than two differently named losses.
    """
    config = {'type': head} if isinstance(head, str) else dict(head)
    module = HOST_MODELS.build({**config, **arguments})
    if not hasattr(module, 'loss_by_feat'):
        raise TypeError(f'{mixin.__name__}: {type(module).__name__} has no loss_by_feat; its losses can not be guided.')
    module.__class__ = guided_class(type(module), mixin)
    if cls_keys is None or guide_keys is None:
        names = loss_names(module)
        cls_keys = names[:1] if cls_keys is None else cls_keys
        guide_keys = [name for name in names if name not in cls_keys] if guide_keys is None else guide_keys
    module.cls_keys, module.guide_keys = tuple(cls_keys), tuple(guide_keys)
    module.set_balancer(balancer)
    return module


@cache
def guided_class(host: type, mixin: type[GuidedMixin]) -> type:
    """``host`` with ``mixin`` in front of it; the same class for the same pair."""
    return type(f'Guided{host.__name__}', (mixin, host), {'__module__': __name__})


def loss_names(head: nn.Module) -> list[str]:
    """Names of the losses in ``loss_decode``, each once, in their order."""
    losses = head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
    names = list(dict.fromkeys(loss.loss_name for loss in losses))
    if len(names) < 2:
        raise ValueError(
            f'GuidedDecodeHead: loss_decode of {type(head).__name__} gives the terms {names}; it needs a '
            f'classification loss and one that guides, for example a Dice loss, with different loss_name.'
        )
    return names
