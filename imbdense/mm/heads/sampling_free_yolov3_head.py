"""``imbdense.SamplingFreeYOLOV3Head``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import is_norm
from mmdet.models.dense_heads import YOLOV3Head
from mmdet.models.utils import filter_scores_and_topk, multi_apply
from mmengine.model import bias_init_with_prob, constant_init, normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from imbdense.mm.heads.guided import SamplingFreeMixin, sampling_free
from imbdense.registry import MODELS

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


@MODELS.register_module()
@sampling_free(YOLOV3Head)
class SamplingFreeYOLOV3Head(SamplingFreeMixin, YOLOV3Head):
    """YOLOv3 head without objectness: class scores learn from all cells, guided by the two box losses.

    Each anchor predicts 4 + C numbers (x, y, w, h, class logits). The class loss runs over positive and negative
    cells, where a negative one has the target 0 for every class; ignored cells count nowhere. L_guide = loss_xy +
    loss_wh. The score is the class probability. ``loss_conf`` and ``test_cfg.conf_thr`` belong to the objectness and
    are not used. Class biases start at the probability 0.01.
    """

    card = 'sampling_free'
    tasks = ('detection',)
    guide_keys = ('loss_xy', 'loss_wh')
    balancer_defaults = {'guide': 'sum'}

    @property
    def num_attrib(self) -> int:
        """Numbers per anchor: a box and a logit per class."""
        return 4 + self.num_classes

    def init_weights(self) -> None:
        """Small normal weights; class biases at the probability 0.01."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                normal_init(module, mean=0, std=0.01)
            elif is_norm(module):
                constant_init(module, 1)
        for conv in self.convs_pred:
            nn.init.constant_(conv.bias.data.view(self.num_base_priors, -1)[:, 4:], bias_init_with_prob(0.01))

    def loss_by_feat(
        self,
        pred_maps: Sequence[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Any]:
        """Balanced losses ``loss_cls``, ``loss_xy`` and ``loss_wh``, one item per level; arguments as in the host."""
        sizes = [pred_map.shape[-2:] for pred_map in pred_maps]
        device = pred_maps[0].device
        anchors = [self.prior_generator.grid_priors(sizes, device=device)] * len(batch_img_metas)
        flags = [self.responsible_flags(sizes, truth.bboxes, device) for truth in batch_gt_instances]
        targets, kinds = self.get_targets(anchors, flags, batch_gt_instances)
        losses_cls, losses_xy, losses_wh = multi_apply(self.loss_by_feat_single, pred_maps, targets, kinds)
        return self.balance({'loss_cls': losses_cls, 'loss_xy': losses_xy, 'loss_wh': losses_wh})

    def loss_by_feat_single(self, pred_map: Tensor, target_map: Tensor, kind: Tensor) -> tuple[Tensor, ...]:
        """Class, xy and wh loss of one level.

        Args:
            pred_map: (N, anchors * (4 + C), H, W) raw.
            target_map: (N, H * W * anchors, 4 + C).
            kind: (N, H * W * anchors) positive, negative or ignored.
        """
        pred = pred_map.permute(0, 2, 3, 1).reshape(len(pred_map), -1, self.num_attrib)
        positive = (kind == POSITIVE).unsqueeze(-1).float()
        counts = (kind != IGNORED).unsqueeze(-1).float()
        return (
            self.loss_cls(pred[..., 4:], target_map[..., 4:], weight=counts),
            self.loss_xy(pred[..., :2], target_map[..., :2], weight=positive),
            self.loss_wh(pred[..., 2:4], target_map[..., 2:4], weight=positive),
        )

    def _get_targets_single(
        self, anchors: list[Tensor], responsible_flags: list[Tensor], gt_instances: InstanceData
    ) -> tuple[Tensor, Tensor]:
        """Targets (A, 4 + C) and kinds (A,) of all anchors of one image."""
        priors = torch.cat(anchors)
        strides = torch.cat([
            priors.new_full((len(level),), stride) for level, stride in zip(anchors, self.featmap_strides)
        ])  # fmt: skip
        candidates = InstanceData(priors=priors, responsible_flags=torch.cat(responsible_flags))
        assigned = self.assigner.assign(candidates, gt_instances)
        samples = self.sampler.sample(assigned, candidates, gt_instances)
        positive = samples.pos_inds
        target = priors.new_zeros(len(priors), self.num_attrib)
        target[positive, :4] = self.bbox_coder.encode(samples.pos_priors, samples.pos_gt_bboxes, strides[positive])
        smooth = self.one_hot_smoother
        target[positive, 4:] = smooth / self.num_classes
        target[positive, 4 + samples.pos_gt_labels] += 1 - smooth
        kind = priors.new_full((len(priors),), IGNORED, dtype=torch.int8)
        kind[samples.neg_inds] = NEGATIVE
        kind[positive] = POSITIVE
        return target, kind

    def predict_by_feat(
        self,
        pred_maps: Sequence[Tensor],
        batch_img_metas: list[dict[str, Any]],
        cfg: Any = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """Boxes of each image; arguments as in the host's head. The score is the class probability."""
        cfg = self.test_cfg if cfg is None else cfg
        sizes = [pred_map.shape[-2:] for pred_map in pred_maps]
        anchors = self.prior_generator.grid_priors(sizes, device=pred_maps[0].device)
        priors = torch.cat(anchors)
        strides = torch.cat([
            priors.new_full((len(level), 1), stride) for level, stride in zip(anchors, self.featmap_strides)
        ])  # fmt: skip
        flat = torch.cat([
            pred.permute(0, 2, 3, 1).reshape(len(batch_img_metas), -1, self.num_attrib) for pred in pred_maps
        ], dim=1)  # fmt: skip
        offsets = torch.cat([flat[..., :2].sigmoid(), flat[..., 2:4]], dim=-1)
        results = []
        for boxes, scores, meta in zip(
            self.bbox_coder.decode(priors, offsets, strides), flat[..., 4:].sigmoid(), batch_img_metas
        ):
            scores, labels, kept, _ = filter_scores_and_topk(scores, cfg.get('score_thr', 0), cfg.get('nms_pre', -1))
            found = InstanceData(scores=scores, labels=labels, bboxes=boxes[kept])
            results.append(
                self._bbox_post_process(found, cfg=cfg, rescale=rescale, with_nms=with_nms, img_meta=meta)
            )
        return results
