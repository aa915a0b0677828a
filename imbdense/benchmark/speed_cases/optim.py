"""Muon against AdamW: a whole training step of a detector, where the optimizer is one part of three."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close

CONFIG = '_base_/models/retinanet_r50.py'
SIDE = 512


def _batch(size: int) -> dict[str, Any]:
    """Two noise images with eight boxes each."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    generator = torch.Generator().manual_seed(0)
    shape = (size, size)
    inputs, samples = [], []
    for _ in range(2):
        inputs.append(torch.randint(0, 256, (3, *shape), generator=generator, dtype=torch.uint8))
        corner = torch.rand(8, 2, generator=generator) * size * 0.7
        boxes = torch.cat([corner, corner + 20 + torch.rand(8, 2, generator=generator) * size * 0.2], 1)
        sample = DetDataSample(metainfo={'img_shape': shape, 'ori_shape': shape, 'pad_shape': shape})
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.randint(0, 80, (8,), generator=generator))
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def _step(optimizer: dict[str, Any], constructor: str) -> Callable[[], float]:
    """Forward, backward and update of RetinaNet-R50-FPN with random weights; returns the loss of the first call."""
    from mmengine.config import Config
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, init_default_scope

    from imbdense.utils.paths import configs_dir

    init_default_scope('mmdet')
    torch.manual_seed(0)
    config = Config.fromfile(str(configs_dir() / CONFIG)).model
    config.backbone.init_cfg = None
    model = MODELS.build(config).train()
    options = {'lr': 1e-6, 'weight_decay': 0.01}
    wrapper = build_optim_wrapper(
        model, {'type': 'OptimWrapper', 'constructor': constructor, 'optimizer': {**optimizer, **options}}
    )
    batch = _batch(SIDE)
    first: list[float] = []

    def step() -> float:
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        loss, _ = model.parse_losses(losses)
        wrapper.update_params(loss)
        first.append(float(loss.detach()))
        return first[0]

    return step


def training_step(scale: float) -> Workload:
    """imbdense.MuonAdamW in the place of AdamW; both start from the same weights."""
    ours = _step({'type': 'imbdense.MuonAdamW'}, 'imbdense.MuonOptimWrapperConstructor')
    peer = _step({'type': 'AdamW'}, 'DefaultOptimWrapperConstructor')
    return Workload(ours, peer, lambda a, b: require_close('losses before the first update', a, b, 1e-4))


CASES = (
    SpeedCase('muon-step', 'training step of RetinaNet-R50-FPN with MuonAdamW, batch 2×3×512²', 'the same with AdamW',
              1.15, training_step, growth=None, repeats=5, peer_repeats=5),
)
