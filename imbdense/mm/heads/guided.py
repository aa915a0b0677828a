"""What all heads with guided loss scaling share: a balancer, and where it acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.reduction import zero_with_graph
from imbdense.mm.host_arguments import Head, extends
from imbdense.registry import MODELS

BalancerConfig = dict[str, Any] | nn.Module | None


class GuidedMixin:
    """Pass what ``loss_by_feat`` of the host's head returns through ``self.balancer``.

    Attributes:
        cls_keys, guide_keys: names of the classification terms and of the terms that see foreground only.
        log_prefix: put in front of the names that the balancer adds.
        balancer_defaults: arguments of the balancer of this head where its config says nothing.
        balancer: an :class:`~imbdense.mm.losses.guided_loss_balancer.GuidedLossBalancer`.
    """

    cls_keys: Sequence[str] = ('loss_cls',)
    guide_keys: Sequence[str] = ('loss_bbox',)
    log_prefix = ''
    balancer_defaults: Mapping[str, Any] = {}
    balancer: nn.Module

    def set_balancer(self, balancer: BalancerConfig = None) -> None:
        """Build and keep the balancer; ``None`` = ``imbdense.GuidedLossBalancer`` with its defaults."""
        if not isinstance(balancer, nn.Module):
            balancer = MODELS.build(
                {'type': 'imbdense.GuidedLossBalancer', **self.balancer_defaults, **(balancer or {})}
            )
        self.balancer = balancer

    def loss_by_feat(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the losses of the host's head, balanced; arguments as there."""
        losses = super().loss_by_feat(*arguments, **options)  # type: ignore[misc]
        return self.balance(keep_graph(losses, [*arguments, *options.values()]))

    def balance(self, losses: dict[str, Any]) -> dict[str, Any]:
        """Scale ``losses``; what the balancer adds gets ``log_prefix``."""
        balanced = self.balancer(losses, self.cls_keys, self.guide_keys)
        return {key if key in losses else f'{self.log_prefix}{key}': term for key, term in balanced.items()}


class SamplingFreeMixin(GuidedMixin):
    """Guided loss scaling for a detection head that is trained on all samples."""

    def set_balancer(self, balancer: BalancerConfig = None) -> None:
        """Build and keep the balancer.

        Raises:
            ValueError: the head has a sampler that leaves samples out.
        """
        super().set_balancer(balancer)
        refuse_sampler(type(self).__name__, type(getattr(self, 'sampler', None)).__name__)


def sampling_free(host: type, **defaults: Any) -> Callable[[Head], Head]:
    """Class decorator: the constructor takes the arguments of ``host`` (with these defaults) and ``balancer``."""
    return extends(host, 'set_balancer', **defaults)


def refuse_sampler(head: str, sampler: str) -> None:
    """Raise ``ValueError`` unless ``sampler`` (a class name) keeps all samples."""
    if sampler != 'NoneType' and not sampler.endswith('PseudoSampler'):
        raise ValueError(
            f'{head} is trained on all samples, but train_cfg has sampler={sampler}, which leaves some out. Set '
            f"sampler=dict(type='PseudoSampler') there."
        )


def keep_graph(losses: dict[str, Any], inputs: Sequence[Any]) -> dict[str, Any]:
    """Attach loss terms without a graph to the predictions among ``inputs`` with a zero gradient.

    Some heads return a constant where a batch has no positives; DistributedDataParallel would then wait for the
    gradient of the box branch for ever.
    """
    loose = [key for key, term in losses.items() if 'loss' in key and isinstance(term, Tensor)
             and not term.requires_grad]
    predictions = [tensor for tensor in tensors(inputs) if tensor.requires_grad]
    if not loose or not predictions:
        return losses
    zero = torch.stack([zero_with_graph(tensor) for tensor in predictions]).sum()
    return {key: term + zero if key in loose else term for key, term in losses.items()}


def tensors(inputs: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors in nested lists and tuples."""
    for item in inputs:
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from tensors(item)
