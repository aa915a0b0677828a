"""LogitAdjustLoss as the classification loss of Mask2Former: what a separate loss for queries would have to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmdet.models')

from mmdet.utils import register_all_modules
from mmengine.registry import DefaultScope

from imbdense.core.losses import prior_shift
from imbdense.core.stats import ClassCounts, PriorLedger
from tests.mm.mask2former import CLASSES, build_head, predictions, targets

register_all_modules(init_default_scope=False)

IMAGES = [90, 30, 9, 3]
ADJUSTED = {'type': 'imbdense.LogitAdjustLoss', 'class_counts': [float(n) for n in IMAGES]}


@pytest.fixture(autouse=True)
def detection_scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def watched(head: Any) -> tuple[dict[str, Any], Any]:
    """What one layer's loss passes on: to the matcher and to the classification loss."""
    seen: dict[str, Any] = {}
    assign, forward = head.assigner.assign, head.loss_cls.forward

    def spy_assign(pred_instances: Any, gt_instances: Any, img_meta: Any = None) -> Any:
        result = assign(pred_instances=pred_instances, gt_instances=gt_instances, img_meta=img_meta)
        seen.update(scores=pred_instances.scores.detach().clone(), matched=result.gt_inds.clone())
        return result

    def spy_loss(*inputs: Any, **named: Any) -> Any:
        seen.update(inputs=inputs, named=named)
        seen['value'] = forward(*inputs, **named)
        return seen['value']

    head.assigner.assign, head.loss_cls.forward = spy_assign, spy_loss
    torch.manual_seed(0)
    losses = head._loss_by_feat_single(*predictions(), *targets())
    return seen, losses


def test_the_matcher_sees_unshifted_logits_and_matches_as_with_plain_cross_entropy() -> None:
    scores, _ = predictions()
    adjusted, _ = watched(build_head(ADJUSTED))
    plain, _ = watched(build_head({'type': 'CrossEntropyLoss', 'use_sigmoid': False}))
    assert torch.equal(adjusted['scores'], scores[0])
    assert torch.equal(adjusted['matched'], plain['matched']) and (adjusted['matched'] > 0).sum() == 2


def test_the_loss_is_centred_and_keeps_the_weight_of_no_object() -> None:
    seen, losses = watched(build_head(ADJUSTED))
    scores, labels = seen['inputs'][:2]
    assert (labels == CLASSES).sum() == 8
    prior = torch.tensor(IMAGES, dtype=torch.float64) / sum(IMAGES)
    shift = torch.cat([prior.log() - (prior * prior.log()).sum(), torch.zeros(1)])
    assert (prior * shift[:-1]).sum().item() == pytest.approx(0, abs=1e-12) and shift[-1] == 0
    weights = torch.tensor([1.0] * CLASSES + [0.1])
    expected = F.cross_entropy(scores + shift.float(), labels, weight=weights)
    assert losses[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(prior_shift(torch.tensor(IMAGES, dtype=torch.float64), CLASSES + 1), shift)


def test_without_counts_only_matched_queries_are_counted() -> None:
    head = build_head({'type': 'imbdense.LogitAdjustLoss', 'background': True})
    watched(head)
    assert head.loss_cls.running.counts.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize('unit', ['images', 'instances'])
def test_the_hook_binds_the_unit_the_loss_asks_for(unit: str) -> None:
    counts = ClassCounts(tuple('abcd'), pixels=[10**6, 10**4, 10**3, 10], images=IMAGES, instances=[200, 40, 9, 3])
    head = build_head({'type': 'imbdense.LogitAdjustLoss', 'count': unit})
    head.loss_cls.bind_prior(PriorLedger(counts.classes, counts.pixels), counts)
    own = counts.of(unit)
    assert head.loss_cls.known_counts().tolist() == pytest.approx(own.tolist())
    seen, losses = watched(head)
    given, _ = watched(build_head({**ADJUSTED, 'class_counts': own.tolist()}))
    assert losses[0].item() == pytest.approx(given['value'].item(), rel=1e-5) and torch.isfinite(losses[0])
    assert seen['named']['avg_factor'].item() == pytest.approx(2 + 8 * 0.1)
