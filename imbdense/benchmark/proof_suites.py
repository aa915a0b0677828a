"""The suites of `imbdense benchmark proof` and the demo behind `make train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imbdense.benchmark.suites import Method, Suite

_SHORT_SEGMENTATION: Mapping[str, Any] = {
    'model.backbone.frozen_stages': 2,
    'train_dataloader.batch_size': 4,
}
"""CPU minutes instead of hours: the first stages of the pretrained backbone stay fixed, four crops a step."""

_COUNTED = dict(type='imbdense.ReweightedCELoss', loss_weight=1.0)
_CLASS_AWARE = dict(type='imbdense.BalancedClassSampler', infinite=True)
_REPEAT_FACTOR = dict(type='imbdense.RepeatFactorSampler', infinite=True)
_LOSS = 'model.decode_head.loss_decode'
_SAMPLER = 'train_dataloader.sampler'
_RECIPE = [
    dict(type='imbdense.LogitAdjustLoss', tau=0.5),
    dict(type='imbdense.PerClassDiceLoss', loss_weight=1.0),
]

CE = Method('ce', why='plain cross-entropy of the host, the baseline')
RECIPE = Method(
    'logit_adjust_dice', {_LOSS: _RECIPE},
    'half of the log prior is corrected (full correction trades precision for recall), and a Dice term per class '
    'rewards overlap of every class alike, so that the rare one keeps its precision',
)
SEGMENTATION_METHODS = (
    CE,
    Method('weighted_ce', {_LOSS: dict(_COUNTED, scheme='inverse')}, 'inverse class frequency: every class counts alike'),
    Method('sqrt_weighted_ce', {_LOSS: dict(_COUNTED, scheme='sqrt')}, 'square root of the inverse frequency'),
    Method('balanced_softmax', {_LOSS: dict(type='imbdense.BalancedSoftmaxLoss')}, 'the whole log prior is corrected'),
    Method('class_aware_sampling', {_SAMPLER: _CLASS_AWARE}, 'images of rare classes are drawn as often as others'),
    RECIPE,
)
