"""``imbdense.RegionRebalanceHead``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.losses import soft_region_labels, soft_region_means
from imbdense.core.regions import region_means
from imbdense.mm.heads.region_classifier import RegionClassifier
from imbdense.registry import MODELS

OWNER = 'RegionRebalanceHead'


@MODELS.register_module()
class RegionRebalanceHead:
    """Any mmseg decode head whose pixel logits are corrected by what its image holds, told by a region classifier.

    ``decode_head=dict(type='imbdense.RegionRebalanceHead', base=dict(type='UPerHead', ...))`` builds the base head and
    returns **that head** with ``regions``, a :class:`RegionClassifier` of C classes and "absent"; see
    :class:`RegionRebalanceMixin` for what it then does in training and at test time. Nothing else has to be set up.

    Args:
        base: config of the head; all its options stay where they are.
        channels: width of the hidden layer of the region classifier.
        smoothing: of its labels, in [0, 1).
        loss_region: config of its loss, as in :class:`RegionRebalanceAux`.
        absent_weight: weight of the soft regions of classes that are not in the image, >= 0.

    Raises:
        TypeError: ``base`` is not the config of a decode head that makes its logits with ``cls_seg``.
        ValueError: the head has a single channel for two classes.

    Source: Cui et al., Region rebalance for long-tailed semantic segmentation, 2022.
    """

    card = 'region_rebalance'
    tasks = ('segmentation',)

    def __new__(  # type: ignore[misc]
        cls,
        base: dict,
        channels: int = 256,
        smoothing: float = 0.0,
        loss_region: dict[str, Any] | None = None,
        absent_weight: float = 1.0,
    ) -> nn.Module:
        """Build the head and give it the region classifier."""
        head = corrected_head(base)
        head.regions = RegionClassifier(head.channels, head.num_classes, channels, smoothing, loss_region, absent=True)
        head.absent_weight = check_number('absent_weight', absent_weight, low=0.0, owner=OWNER)
        return head


class RegionRebalanceMixin:
    """Mixin in front of a decode head of mmseg.

    With f the features in front of the classifier and z the pixel logits of the host::

        soft regions   f_nc = mean of f weighted by softmax(z)_c             one per image and class
        region logits  r_nck = regions(f_nc)                                 k < C: class, k = C: absent
        correction     b_nk = mean over c of r_nck, k < C                    one number per image and class
        logits         z + b                                                 what the head returns, always

    Losses: those of the head for z, again for z + b (``*_corrected``), ``loss_region`` = the regions of the labels,
    and ``loss_soft_region`` = the soft regions, class c if it is in the image, else absent. Statistics that the
    losses of the head gather see both. Sliding windows are corrected window by window, as they are trained.
    """

    regions: RegionClassifier
    absent_weight: float
    # of the host:
    num_classes: int
    ignore_index: int
    _seen: list[tuple[Tensor, Tensor]] | None = None
    """While the loss is computed: features and region logits of the forward pass."""

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Corrected pixel logits of the features (N, D, *spatial)."""
        logits = super().cls_seg(feat)  # type: ignore[misc]
        region_logits = self.regions.classifier(soft_region_means(feat, logits))
        if self._seen is not None:
            self._seen.append((feat, region_logits))
        return logits + self._correction(region_logits, logits.ndim)

    def loss(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """What mmseg calls; arguments and result as in the host's head."""
        self._seen = []
        try:
            return super().loss(*arguments, **options)  # type: ignore[misc]
        finally:
            self._seen = None

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: Any) -> dict[str, Any]:
        """Losses of the logits without and with the correction, and of the regions.

        Raises:
            RuntimeError: the head classified its pixels more than once, or not within :meth:`loss`.
        """
        if self._seen is None or len(self._seen) != 1:
            raise RuntimeError(f'{OWNER}: {type(self).__name__}.loss has to make its pixel logits once, with cls_seg.')
        features, region_logits = self._seen[0]
        host: Any = super()
        losses = host.loss_by_feat(seg_logits - self._correction(region_logits, seg_logits.ndim), batch_data_samples)
        corrected = host.loss_by_feat(seg_logits, batch_data_samples)
        losses.update({f'{key}_corrected': value for key, value in corrected.items()})
        return losses | self._region_losses(features, region_logits, batch_data_samples)

    def _correction(self, region_logits: Tensor, ndim: int) -> Tensor:
        """(N, C, 1, ...) float32 of region logits (N, C, C + 1)."""
        mean = region_logits[..., : self.num_classes].float().mean(1)
        return mean.view(*mean.shape, *(1,) * (ndim - 2))

    def _region_losses(self, features: Tensor, region_logits: Tensor, samples: Any) -> dict[str, Tensor]:
        target = torch.stack([sample.gt_sem_seg.data for sample in samples]).squeeze(1)
        means, own, _ = region_means(features, target, self.num_classes, ignore_index=self.ignore_index)
        labels, weights = soft_region_labels(
            target, self.num_classes, absent_weight=self.absent_weight, ignore_index=self.ignore_index
        )
        soft = region_logits.flatten(0, 1)
        return {
            'loss_region': self.regions.region_loss(self.regions.classifier(means), own),
            'loss_soft_region': self.regions.region_loss(soft, labels.flatten(), weights.flatten()),
        }


def corrected_head(base: Mapping[str, Any]) -> Any:
    """Build ``base`` in the default scope of the run and make its class a :class:`RegionRebalanceMixin`."""
    if not isinstance(base, Mapping) or 'type' not in base:
        raise TypeError(
            f"{OWNER}: base must be the config of a head, base=dict(type='FCNHead', ...), but got "
            f'{type(base).__name__}.'
        )
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    head = MODELS.build(ConfigDict(base))
    kept = ('cls_seg', 'loss_by_feat')
    if not all(getattr(type(head), name, None) is getattr(BaseDecodeHead, name) for name in kept):
        raise TypeError(
            f'{OWNER}: {type(head).__name__} makes its logits or losses in a way of its own; heads like FCNHead, '
            f'UPerHead, PSPHead, ASPPHead or SegformerHead, with one map of logits from cls_seg, can be corrected.'
        )
    if head.out_channels != head.num_classes:
        raise ValueError(
            f'{OWNER}: {type(head).__name__} has out_channels={head.out_channels} for {head.num_classes} classes; a '
            f'correction per class needs as many channels. Set out_channels={head.num_classes}.'
        )
    head.__class__ = _corrected_class(type(head))
    return head


@cache
def _corrected_class(host: type) -> type:
    """``host`` with the mixin in front of it; the same class for the same host."""
    return type(f'RegionRebalanced{host.__name__}', (RegionRebalanceMixin, host), {'__module__': __name__})
