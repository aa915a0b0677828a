"""``imbdense.SamplingFreeBBoxHead``."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from torch import Tensor

from imbdense.core.reduction import zero_with_graph
from imbdense.mm.heads.guided import SamplingFreeMixin, refuse_sampler, sampling_free
from imbdense.registry import MODELS


@MODELS.register_module()
@sampling_free(Shared2FCBBoxHead)
class SamplingFreeBBoxHead(SamplingFreeMixin, Shared2FCBBoxHead):
    """Box head of Faster, Mask and Cascade R-CNN on all proposals: cross-entropy guided by the box loss.

    Two fully connected layers, then C + 1 classes and boxes. The host divides ``loss_bbox`` by the number of *all*
    proposals; with about a thousand of them and few positives the guide would vanish, so here it is the sum over the
    positives divided by 4 * max(1, N_pos). The weight of the scaled classification loss is 2 unless the balancer's
    config says otherwise. ``train_cfg.rcnn`` must have ``sampler=dict(type='PseudoSampler')``.

    A batch without any proposal gives the same keys with zero losses that keep their graph.
    """

    card = 'sampling_free'
    tasks = ('detection',)
    balancer_defaults = {'cls_weight': 2.0}

    def loss_and_target(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Losses and targets; arguments as in the host's head.

        Raises:
            ValueError: the configured sampler leaves proposals out.
        """
        config = options['rcnn_train_cfg'] if 'rcnn_train_cfg' in options else arguments[4]
        sampler = config.get('sampler', {}).get('type', 'NoneType')
        refuse_sampler(type(self).__name__, getattr(sampler, '__name__', sampler))
        return super().loss_and_target(*arguments, **options)

    def loss(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        reduction_override: str | None = None,
    ) -> dict[str, Any]:
        """Balanced losses of P proposals; arguments as in the host's head.

        With ``reduction_override`` other than 'mean' (hard example mining asks for single losses) nothing is scaled.
        """
        losses = super().loss(
            cls_score, bbox_pred, rois, labels, label_weights, bbox_targets, bbox_weights, reduction_override
        )
        if reduction_override not in (None, 'mean'):
            return losses
        positives = ((labels >= 0) & (labels < self.num_classes)).sum().clamp_min(1)
        losses['loss_bbox'] = losses['loss_bbox'] * (len(bbox_targets) / (4 * positives))
        if 'loss_cls' not in losses:
            losses.update(loss_cls=zero_with_graph(cls_score), acc=cls_score.new_zeros(1))
        return self.balance(losses)
