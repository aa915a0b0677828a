"""Every loss of the long-tail family on the synthetic task, three seeds: the table of the method cards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.losses import (
    balanced_logit_variation_loss,
    balanced_softmax_loss,
    cdt_loss,
    influence_balanced_loss,
    label_aware_smooth_loss,
    lade_loss,
    ldam_loss,
    reweighted_ce_loss,
    sigmoid_focal_cb_loss,
    softmax_eql_loss,
    softmax_focal_loss,
)
from imbdense.core.stats import class_weights
from tests.helpers.long_tail_task import Batch, Loss, Result, mean_result

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


def of_counts(function: Callable[..., Tensor], **options: Any) -> Loss:
    """A core loss that takes the counts."""
    return lambda batch: function(batch.logits, batch.labels, batch.counts, **options)


def weights(batch: Batch, scheme: str, **options: Any) -> Tensor:
    return torch.as_tensor(class_weights(batch.counts, scheme, **options))


def mean_one(values: Tensor) -> Tensor:
    return values * (values.numel() / values.sum())


def plain(batch: Batch) -> Tensor:
    return F.cross_entropy(batch.logits, batch.labels)


def cosine_plain(batch: Batch) -> Tensor:
    return F.cross_entropy(30 * batch.logits, batch.labels)


def influence(scheme: str, start: float) -> Loss:
    """Cross-entropy until ``start``; alpha is the mean norm of the features."""

    def loss(batch: Batch) -> Tensor:
        if batch.progress < start:
            return plain(batch)
        norm = batch.features.detach().abs().sum(1)
        return influence_balanced_loss(
            batch.logits, batch.labels, norm, alpha=float(norm.mean()), class_weight=mean_one(weights(batch, scheme))
        )

    return loss


def ldam(start: float) -> Loss:
    """LDAM, with class-balanced weights from ``start`` on."""

    def loss(batch: Batch) -> Tensor:
        late = weights(batch, 'effective') if batch.progress >= start else None
        return ldam_loss(batch.logits, batch.labels, batch.counts, class_weight=late)

    return loss


def weighted(scheme: str, **options: Any) -> Loss:
    return lambda batch: reweighted_ce_loss(batch.logits, batch.labels, weights(batch, scheme, **options))


def focal(gamma: float) -> Loss:
    return lambda batch: softmax_focal_loss(batch.logits, batch.labels, focal_gamma=gamma)


def focal_cb(batch: Batch) -> Tensor:
    return softmax_focal_loss(
        batch.logits, batch.labels, focal_gamma=2.0, class_weight=weights(batch, 'effective', beta=0.9999)
    )


def sigmoid_focal_cb(batch: Batch) -> Tensor:
    return sigmoid_focal_cb_loss(batch.logits, batch.labels, weights(batch, 'effective', beta=0.9999))


def balanced_with_lade(batch: Batch) -> Tensor:
    bound = lade_loss(batch.logits, batch.labels, batch.counts)
    return balanced_softmax_loss(batch.logits, batch.labels, batch.counts) + 0.1 * bound


ROWS: dict[str, tuple[Loss, bool]] = {
    'cross-entropy': (plain, False),
    'focal, gamma 2': (focal(2.0), False),
    'class-balanced, beta .9999': (weighted('effective', beta=0.9999), False),
    'inverse frequency': (weighted('inverse'), False),
    'balanced softmax': (of_counts(balanced_softmax_loss), False),
    'focal, gamma 2, class-balanced weights': (focal_cb, False),
    'sigmoid focal, class-balanced': (sigmoid_focal_cb, False),
    'softmax EQL, gamma .9, threshold .01': (of_counts(softmax_eql_loss, threshold=0.01), False),
    'softmax EQL, gamma .9, threshold .05': (of_counts(softmax_eql_loss, threshold=0.05), False),
    'CDT, gamma .1': (of_counts(cdt_loss, gamma=0.1), False),
    'CDT, gamma .2': (of_counts(cdt_loss, gamma=0.2), False),
    'label-aware smoothing': (of_counts(label_aware_smooth_loss), False),
    'influence-balanced, inverse weights, from half-way': (influence('inverse', 0.5), False),
    'influence-balanced, inverse weights': (influence('inverse', 0.0), False),
    'influence-balanced, class-balanced weights': (influence('effective', 0.0), False),
    'balanced logit variation, sigma 4': (of_counts(balanced_logit_variation_loss), False),
    'balanced softmax + 0.1 LADE': (balanced_with_lade, False),
    'LADE alone': (of_counts(lade_loss), False),
    'cosine classifier, cross-entropy': (cosine_plain, True),
    'cosine classifier, LDAM': (ldam(2.0), True),
    'cosine classifier, LDAM-DRW, weights from .5': (ldam(0.5), True),
    'cosine classifier, LDAM, weights throughout': (ldam(0.0), True),
}


@pytest.fixture(scope='module')
def table() -> dict[str, Result]:
    """All rows; printed in the form of the cards."""
    results = {}
    for name, (loss, cosine) in ROWS.items():
        torch.manual_seed(0)
        result = results[name] = mean_result(loss, SEEDS, cosine=cosine)
        classes = ' '.join(f'{value:.2f}' for value in result.recall[1:].tolist())
        print(f'| {name} | {result.recall[0]:.2f} / {classes} | {result.rare_recall:.2f} | {result.mean_iou:.3f} |')
    return results


HELPFUL = (
    'balanced softmax', 'class-balanced, beta .9999', 'focal, gamma 2, class-balanced weights',
    'sigmoid focal, class-balanced', 'influence-balanced, class-balanced weights', 'balanced softmax + 0.1 LADE',
)


@pytest.mark.parametrize('name', HELPFUL)
def test_rare_classes_are_found(table: dict[str, Result], name: str) -> None:
    assert table[name].rare_recall >= table['cross-entropy'].rare_recall + 0.40
    assert table[name].mean_iou >= table['cross-entropy'].mean_iou + 0.10
    assert table[name].recall[0] >= 0.90


def test_equalisation_finds_the_classes_below_its_threshold(table: dict[str, Result]) -> None:
    assert table['softmax EQL, gamma .9, threshold .01'].rare_recall >= table['cross-entropy'].rare_recall + 0.25


def test_logit_variation_moves_the_decision_away_from_rare_classes_as_its_ledger_entry_says(
    table: dict[str, Result]
) -> None:
    assert table['balanced logit variation, sigma 4'].rare_recall <= table['cross-entropy'].rare_recall
