"""What drawn features do for rare classes: the classifier of a trained network learns anew, with them and without."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip('mmdet.models')

from imbdense.core.sampling import ClassFeatures, FeatureGaussians, FeatureQueue
from imbdense.mm.heads.bacl_bbox_head import BACLBBoxHead
from imbdense.mm.heads.loce_bbox_head import LOCEBBoxHead
from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from tests.mm.losses.roi_toy import C, Task, average_precisions, by_group, train

pytestmark = pytest.mark.slow
HIDDEN = 64


def softmax_loss(pred: Tensor, target: Tensor, weight: Tensor, avg_factor: float) -> Tensor:
    return F.cross_entropy(pred, target)


def for_boxes(loss: Any) -> Any:
    """As a box head sets it up."""
    loss.get_cls_channels(C)
    return loss


def second_stage(task: Task, net: nn.Module, loss: Any, seed: int, source: ClassFeatures | None,
                 preference: Callable[..., Tensor], each: int) -> dict[str, float]:
    """AP50 per group after 250 steps in which only the last layer learns; the same batches for the same seed."""
    torch.manual_seed(seed)
    task.generator.manual_seed(1000 + seed)
    net = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net[2].parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=250)
    for _ in range(250):
        regions, labels = task.batch()
        features = net[:2](regions).detach()
        if source is not None:
            source.update(features, labels)
            drawn = source.draw(preference(None, loss.stats), 8, each)
            features, labels = torch.cat([features, drawn.features]), torch.cat([labels, drawn.labels])
        value = loss(net[2](features), labels, torch.ones(len(labels)), avg_factor=float(len(labels)))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return by_group(average_precisions(task, net.eval(), loss.get_activation))


@pytest.fixture(scope='module')
def gains() -> dict[str, list[dict[str, float]]]:
    """name -> per seed: AP50 with drawn features minus AP50 without."""
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {'queue': [], 'Gaussians': []}
    for seed in (0, 1, 2):
        task, sigmoid = Task(seed), for_boxes(ForegroundClassBalanceLoss(alpha=0.0))
        softmax_net, sigmoid_net = (train(Task(seed), loss, C + 1, seed, 1000) for loss in (softmax_loss, sigmoid))
        cases: dict[str, tuple[nn.Module, Callable[[], Any], ClassFeatures, Any, int]] = {
            'queue': (softmax_net, EBLLoss, FeatureQueue(C, HIDDEN), LOCEBBoxHead.preference, 4),
            'Gaussians': (sigmoid_net, lambda: ForegroundClassBalanceLoss(competitors_only=True),
                          FeatureGaussians(C, HIDDEN), BACLBBoxHead.preference, 12),
        }  # fmt: skip
        for name, (net, make, source, preference, each) in cases.items():
            without, with_drawn = (
                second_stage(task, net, for_boxes(make()), seed, drawn_from, preference, each)
                for drawn_from in (None, source)
            )
            print(seed, name, without, with_drawn)
            found[name].append({group: with_drawn[group] - value for group, value in without.items()})
    return found


@pytest.mark.parametrize('name', ['queue', 'Gaussians'])
def test_drawn_features_raise_the_mean_on_every_seed_and_the_rare_classes_on_average(
    name: str, gains: dict[str, list[dict[str, float]]]
) -> None:
    assert all(gain['all'] > 0 for gain in gains[name])
    assert sum(gain['rare'] for gain in gains[name]) / 3 > 0.5
