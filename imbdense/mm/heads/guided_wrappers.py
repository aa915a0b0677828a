"""Guided loss scaling for any head of a host, which is built as it is and then gets a balancer.

The result is the host's head itself, of a class made on the fly that also is a :class:`GuidedMixin`. So all methods,
``isinstance`` checks and parameter names stay, and checkpoints of the plain head fit; only ``balancer.*`` is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mmengine.config import ConfigDict
from torch import nn

from imbdense.mm.heads.guided import BalancerConfig, GuidedMixin, SamplingFreeMixin
from imbdense.registry import MODELS


@MODELS.register_module()
class SamplingFreeWrapper:
    """Guided loss scaling for any detection head that has ``loss_by_feat`` (GFL, TOOD, VFNet, RTMDet, PAA, ...).

    ``bbox_head=dict(type='imbdense.SamplingFreeWrapper', base=dict(type='GFLHead', ...))`` builds the base head and
    returns **that head** with a balancer.

    Args:
        base: config of the head; all its options stay where they are.
        balancer: config of the balancer; ``None`` = ``imbdense.GuidedLossBalancer``.
        cls_keys: names of its classification terms.
        guide_keys: names of its terms that see foreground only.
        train_cfg, test_cfg: what mmdet's detectors put into the config of their head; handed on to ``base``.

    Raises:
        TypeError: ``base`` is not the config of a head with ``loss_by_feat``.
        ValueError: the head has a sampler that leaves samples out.
    """

    card = 'sampling_free'
    tasks = ('detection',)

    def __new__(  # type: ignore[misc]
        cls,
        base: dict,
        balancer: BalancerConfig = None,
        cls_keys: Sequence[str] = ('loss_cls',),
        guide_keys: Sequence[str] = ('loss_bbox',),
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
    ) -> nn.Module:
        """Build the head and give it the balancer."""
        handed = {'train_cfg': train_cfg, 'test_cfg': test_cfg}
        head = guided_head(base, SamplingFreeMixin, cls.__name__, handed)
        return with_balancer(head, balancer, cls_keys, guide_keys)


@MODELS.register_module()
class GuidedDecodeHead:
    """Guided loss scaling for any segmentation head: cross-entropy is scaled to the size of its Dice, Lovasz, ....

    ``decode_head=dict(type='imbdense.GuidedDecodeHead', base=dict(type='FCNHead', ...), guides=[...])`` builds the base
    head and returns **that head** with a balancer.

    Args:
        base: config of the head; all its options stay where they are.
        guides: configs of losses to be added to its ``loss_decode``; ``None`` = those that guide are there already.
        balancer: config of the balancer; ``None`` = ``imbdense.GuidedLossBalancer``.
        cls_keys: ``loss_name`` of the terms to be scaled; ``None`` = that of the first loss of ``loss_decode``.
        guide_keys: ``loss_name`` of the terms that guide; ``None`` = those of the other losses of ``loss_decode``.

    Raises:
        TypeError: ``base`` is not the config of a head with ``loss_by_feat``.
        ValueError: keys are to be found from the losses, of which there are not two with different names.
    """

    card = 'sampling_free'
    tasks = ('segmentation',)

    def __new__(  # type: ignore[misc]
        cls,
        base: dict,
        guides: Sequence[dict] | None = None,
        balancer: BalancerConfig = None,
        cls_keys: Sequence[str] | None = None,
        guide_keys: Sequence[str] | None = None,
    ) -> nn.Module:
        """Build the head and give it the balancer."""
        head = guided_head(base, GuidedMixin, cls.__name__)
        if guides:
            own = head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
            head.loss_decode = nn.ModuleList([*own, *(MODELS.build(guide) for guide in guides)])
        if cls_keys is None or guide_keys is None:
            names = loss_names(head)
            cls_keys = names[:1] if cls_keys is None else cls_keys
            guide_keys = [name for name in names if name not in cls_keys] if guide_keys is None else guide_keys
        return with_balancer(head, balancer, cls_keys, guide_keys)


def guided_head(
    base: Mapping[str, Any], mixin: type[GuidedMixin], owner: str, handed: Mapping[str, Any] | None = None
) -> Any:
    """Build ``base`` in the default scope of the run and make its class a :class:`GuidedMixin`.

    Args:
        base: config of a head.
        mixin: what its class becomes besides.
        owner: named in messages.
        handed: further entries for ``base``; those that are ``None`` are left out.
    """
    if not isinstance(base, Mapping) or 'type' not in base:
        raise TypeError(
            f"{owner}: base must be the config of a head, base=dict(type='FCNHead', ...), but got "
            f'{type(base).__name__}.'
        )
    more = {key: value for key, value in (handed or {}).items() if value is not None}
    head = MODELS.build(ConfigDict({**base, **more}))  # some heads read their config by attribute
    if not hasattr(head, 'loss_by_feat'):
        raise TypeError(f'{owner}: {type(head).__name__} has no loss_by_feat; its losses can not be guided.')
    head.__class__ = guided_class(type(head), mixin)
    return head


def with_balancer(head: Any, balancer: BalancerConfig, cls_keys: Sequence[str], guide_keys: Sequence[str]) -> nn.Module:
    """Tell a guided head its keys and build its balancer."""
    head.cls_keys, head.guide_keys = tuple(cls_keys), tuple(guide_keys)
    head.set_balancer(balancer)
    return head


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
            f'GuidedDecodeHead: the losses of {type(head).__name__} give the terms {names}; it takes a classification '
            f"loss and one that guides, of different loss_name: guides=[dict(type='imbdense.PerClassDiceLoss')]."
        )
    return names
