"""Dense detection heads that are trained on all samples with guided loss scaling.

Each takes the arguments of the host's head and ``balancer``. The normalisers are the host's. The bias of the last
classification layer should start at the measured foreground prior, and ``test_cfg.score_thr`` should be low; see
docs/methods/sampling_free.md.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.dense_heads import ATSSHead, FCOSHead, FoveaHead, RetinaHead, RPNHead

from imbdense.mm.heads.guided import SamplingFreeMixin, sampling_free
from imbdense.registry import MODELS

BINARY: dict[str, Any] = {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 1.0}


@MODELS.register_module()
@sampling_free(RetinaHead, loss_cls=BINARY)
class SamplingFreeRetinaHead(SamplingFreeMixin, RetinaHead):
    """RetinaNet head on all anchors: binary cross-entropy guided by the box loss."""

    card = 'sampling_free'
    tasks = ('detection',)


@MODELS.register_module()
@sampling_free(FCOSHead, loss_cls=BINARY)
class SamplingFreeFCOSHead(SamplingFreeMixin, FCOSHead):
    """FCOS head on all points: binary cross-entropy guided by the mean of box and centre-ness loss."""

    card = 'sampling_free'
    tasks = ('detection',)
    guide_keys = ('loss_bbox', 'loss_centerness')


@MODELS.register_module()
@sampling_free(ATSSHead, loss_cls=BINARY)
class SamplingFreeATSSHead(SamplingFreeMixin, ATSSHead):
    """ATSS head on all anchors: binary cross-entropy guided by the mean of box and centre-ness loss."""

    card = 'sampling_free'
    tasks = ('detection',)
    guide_keys = ('loss_bbox', 'loss_centerness')


@MODELS.register_module()
@sampling_free(FoveaHead, loss_cls=BINARY)
class SamplingFreeFoveaHead(SamplingFreeMixin, FoveaHead):
    """FoveaBox head on all cells: binary cross-entropy guided by the box loss."""

    card = 'sampling_free'
    tasks = ('detection',)


@MODELS.register_module()
@sampling_free(RPNHead, loss_cls=BINARY)
class SamplingFreeRPNHead(SamplingFreeMixin, RPNHead):
    """Region proposal head on all anchors: binary cross-entropy guided by the box loss.

    What it logs is called ``rpn_guided_ratio`` and ``rpn_raw_cls``, so that the numbers of the RoI head stand beside.
    """

    card = 'sampling_free'
    tasks = ('detection',)
    cls_keys = ('loss_rpn_cls',)
    guide_keys = ('loss_rpn_bbox',)
    log_prefix = 'rpn_'
