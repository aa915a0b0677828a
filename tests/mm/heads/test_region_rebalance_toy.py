"""What regions do for rare classes: a long-tailed segmentation task with the real heads, printed as a table."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip('mmseg.models')

from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tests.helpers.long_tail_task import CLASSES, TAIL, make_images

pytestmark = pytest.mark.slow
SEEDS, ITERATIONS = (0, 1), 150
FCN: dict[str, Any] = {'type': 'FCNHead', 'in_channels': 16, 'in_index': 0, 'channels': 16, 'num_convs': 1,
                       'num_classes': CLASSES, 'dropout_ratio': 0, 'concat_input': False,
                       'loss_decode': {'type': 'CrossEntropyLoss', 'avg_non_ignore': True}}


def heads_of(kind: str, labels: Tensor) -> list[nn.Module]:
    """The decode head and, for 'aux', the auxiliary head; both see the features of the body."""
    images = [int((labels == c).flatten(1).any(1).sum()) for c in range(CLASSES)]
    region = {'type': 'imbdense.LogitAdjustLoss', 'class_counts': images, 'loss_name': 'loss_region'}
    corrected = {'type': 'imbdense.RegionRebalanceHead', 'base': FCN, 'channels': 32, 'loss_region': region}
    aux = {'type': 'imbdense.RegionRebalanceAux', 'in_channels': 16, 'num_classes': CLASSES, 'channels': 32,
           'in_index': 0, 'loss_region': region}
    configs = [corrected] if kind == 'head' else [FCN, aux] if kind == 'aux' else [FCN]
    with DefaultScope.overwrite_default_scope('mmseg'):
        heads = [MODELS.build(config) for config in configs]
    heads[0].init_weights()
    return heads


def mean_iou(kind: str, seed: int) -> float:
    """Train, then measure on 400 images with the class odds of training."""
    images, labels = make_images(160, TAIL, seed)
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.ReLU())
    heads = heads_of(kind, labels)
    optimizer = torch.optim.AdamW([p for part in (body, *heads) for p in part.parameters()], 3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(ITERATIONS):
        batch = torch.randint(0, 160, (8,), generator=generator)
        features = [body(images[batch])]
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels[batch]]
        terms = [head.loss(features, samples, None) for head in heads]
        value = sum(term for own in terms for key, term in own.items() if 'loss' in key)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    images, labels = make_images(400, TAIL, 1000 + seed)
    with torch.no_grad():
        predicted = heads[0].eval()([body(images)]).argmax(1)
    table = torch.bincount(labels.flatten() * CLASSES + predicted.flatten(), minlength=CLASSES**2).view(CLASSES, -1)
    hit = table.diag()
    return float((hit / (table.sum(0) + table.sum(1) - hit)).mean())


def test_regions_find_classes_that_pixels_miss() -> None:
    torch.set_num_threads(1)
    found = {kind: sum(mean_iou(kind, seed) for seed in SEEDS) / len(SEEDS) for kind in ('plain', 'aux', 'head')}
    print({kind: round(value, 3) for kind, value in found.items()})
    assert found['aux'] > found['plain'] + 0.15 and found['head'] > found['plain'] + 0.15
