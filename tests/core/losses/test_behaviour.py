"""A behaviour that can fail: a long-tailed segmentation task of half a minute, trained with and without balancing."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.losses import balanced_softmax_loss, per_class_dice_loss, reweighted_ce_loss
from imbdense.core.stats import class_weights
from tests.helpers.long_tail_task import Batch, Loss, Result, mean_result


def plain(batch: Batch) -> Tensor:
    return F.cross_entropy(batch.logits, batch.labels)


def balanced(batch: Batch) -> Tensor:
    return balanced_softmax_loss(batch.logits, batch.labels, batch.counts)


def balanced_with_dice(batch: Batch) -> Tensor:
    return balanced(batch) + per_class_dice_loss(batch.logits, batch.labels)


def weighted(scheme: str, batch: Batch) -> Tensor:
    weights = torch.as_tensor(class_weights(batch.counts, scheme))
    return reweighted_ce_loss(batch.logits, batch.labels, weights)


@pytest.fixture(scope='module')
def reference() -> Result:
    """Plain cross-entropy, mean over two seeds."""
    return mean_result(plain, (0, 1))


@pytest.mark.parametrize(
    'loss',
    [balanced, balanced_with_dice, partial(weighted, 'effective')],
    ids=['balanced softmax', 'balanced softmax + dice', 'effective number'],
)
def test_rare_classes_are_found_and_the_background_is_kept(loss: Loss, reference: Result) -> None:
    result = mean_result(loss, (0, 1))
    print(f'recall {result.recall.numpy().round(2)} (CE {reference.recall.numpy().round(2)}), '
          f'mIoU {result.mean_iou:.3f} (CE {reference.mean_iou:.3f})')  # fmt: skip
    assert result.rare_recall >= reference.rare_recall + 0.40
    assert result.mean_iou >= reference.mean_iou + 0.10
    assert result.recall[0] >= 0.90
