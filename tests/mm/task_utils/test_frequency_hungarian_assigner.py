"""FrequencyHungarianAssigner and TargetMaskSampler, alone and inside Mask2Former and DETR heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import DETRHead
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, PriorLedger
from imbdense.mm.hooks.class_count_hook import bind_losses
from imbdense.registry import TASK_UTILS
from tests.mm.mask2former import CLASSES, COSTS, build_head, predictions, targets

register_all_modules(init_default_scope=False)

FREQUENCY = [0.9, 0.3, 0.09, 3e-4]  # of the images; the last class is matched with ceil(2 sqrt(4)) = 4 queries
COUNTS = ClassCounts(
    tuple('abcd'), pixels=[10**6, 10**5, 10**4, 100], images=[9000, 3000, 900, 3], num_images=10_000
)
COST = [{'type': 'mmdet.ClassificationCost', 'weight': 1.0}]


@pytest.fixture(autouse=True)
def detection_scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def assigner(**options: Any) -> Any:
    return TASK_UTILS.build({'type': 'imbdense.FrequencyHungarianAssigner', 'match_costs': COST, **options})


def plain() -> Any:
    return TASK_UTILS.build({'type': 'mmdet.HungarianAssigner', 'match_costs': COST})


def one_image(queries: int = 10, labels: tuple[int, ...] = (0, 3)) -> dict[str, InstanceData]:
    scores = torch.randn(queries, CLASSES + 1, generator=torch.Generator().manual_seed(0))
    truth = InstanceData(labels=torch.tensor(labels, dtype=torch.long))
    return {'pred_instances': InstanceData(scores=scores), 'gt_instances': truth}


def test_a_rare_target_gets_its_queries_and_a_frequent_one_stays_single() -> None:
    result = assigner(class_frequency=FREQUENCY).assign(**one_image())
    assert torch.bincount(result.gt_inds, minlength=3).tolist() == [5, 1, 4]
    assert (result.labels[result.gt_inds == 2] == 3).all() and (result.labels[result.gt_inds == 0] == -1).all()
    assert result.num_gts == 2


def test_with_frequent_classes_only_it_is_the_assigner_of_the_host() -> None:
    for labels in ((0, 1, 2, 1), (), (2,)):
        ours, theirs = assigner(class_frequency=[0.9] * 4).assign(**one_image(labels=labels)), plain().assign(
            **one_image(labels=labels)
        )
        assert torch.equal(ours.gt_inds, theirs.gt_inds) and ours.num_gts == theirs.num_gts
        assert torch.equal(ours.labels, theirs.labels)


def test_copies_are_lowered_to_the_queries_there_are() -> None:
    result = assigner(class_frequency=FREQUENCY).assign(**one_image(queries=3))
    assert torch.bincount(result.gt_inds, minlength=3).tolist() == [0, 1, 2]
    crowded = assigner(class_frequency=FREQUENCY).assign(**one_image(queries=2, labels=(0, 3, 3)))
    assert (crowded.gt_inds > 0).all()


def test_without_any_query() -> None:
    assert assigner(class_frequency=FREQUENCY).assign(**one_image(queries=0)).gt_inds.numel() == 0


def test_where_the_frequencies_come_from(tmp_path: Any) -> None:
    path = tmp_path / 'class_counts.json'
    path.write_text(COUNTS.to_json())
    assert assigner(class_counts=str(path)).matches().tolist() == [1, 1, 1, 4]
    with pytest.raises(ValueError, match=r'ClassCountHook.*class_frequency'):
        assigner().assign(**one_image())
    with pytest.raises(ValueError, match='not both'):
        assigner(class_frequency=FREQUENCY, class_counts=str(path))
    with pytest.raises(ValueError, match=r'absent\.json'):
        assigner(class_counts=str(tmp_path / 'absent.json')).matches()


def layer_loss(head: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    scores, masks = predictions()
    losses = head._loss_by_feat_single(scores, masks, *targets())
    sum(losses).backward()
    assert torch.isfinite(scores.grad).all() and torch.isfinite(masks.grad).all()
    return dict(zip(('cls', 'mask', 'dice'), (value.item() for value in losses), strict=True))


LOSS = {'type': 'CrossEntropyLoss', 'use_sigmoid': False}
FREQUENT = {'type': 'imbdense.FrequencyHungarianAssigner', 'match_costs': COSTS}


def test_inside_mask2former_the_sampler_decides_what_the_mask_losses_divide_by() -> None:
    config = {**FREQUENT, 'class_frequency': FREQUENCY}
    pairs = layer_loss(build_head(LOSS, config))
    by_targets = layer_loss(build_head(LOSS, config, 'imbdense.TargetMaskSampler'))
    single = layer_loss(build_head(LOSS))
    assert by_targets['mask'] == pytest.approx(5 / 2 * pairs['mask'], rel=1e-5)  # 1 + 4 pairs, 2 targets
    assert by_targets['dice'] == pytest.approx(5 / 2 * pairs['dice'], rel=1e-5)
    assert by_targets['cls'] == pytest.approx(pairs['cls'], rel=1e-6) != single['cls']


def test_the_hook_finds_it_in_the_head_and_the_loss_corrects_the_rest() -> None:
    head = build_head({'type': 'imbdense.LogitAdjustLoss', 'count': 'images'}, FREQUENT)
    before = set(head.state_dict())
    ledger = PriorLedger(COUNTS.classes, COUNTS.images, 'training labels (images)')
    bind_losses(head, ledger, COUNTS)
    assert [entry.source for entry in ledger.entries[1:]] == ['FrequencyHungarianAssigner', 'LogitAdjustLoss']
    assert set(head.state_dict()) == before and not any('assigner' in key for key in before)
    seen = torch.tensor([9000.0, 3000.0, 900.0, 3.0 * 4])
    known = head.loss_cls.known_counts()
    assert (known / known.sum()).tolist() == pytest.approx((seen / seen.sum()).tolist(), rel=1e-6)
    layer_loss(head)


def test_two_heads_act_side_by_side_and_a_loss_with_its_own_counts_is_refused() -> None:
    heads = torch.nn.ModuleList([build_head({'type': 'imbdense.LogitAdjustLoss'}, FREQUENT) for _ in range(2)])
    ledger = PriorLedger(COUNTS.classes, COUNTS.images)
    bind_losses(heads, ledger, COUNTS)
    assert [entry.stage for entry in ledger.entries] == ['labels', 'data', 'loss', 'loss']
    own = build_head({'type': 'imbdense.LogitAdjustLoss', 'class_counts': COUNTS.images.tolist()}, FREQUENT)
    with pytest.raises(DoubleCorrectionError, match='FrequencyHungarianAssigner already changed'):
        bind_losses(own, PriorLedger(COUNTS.classes, COUNTS.images), COUNTS)


def test_inside_a_detr_head() -> None:
    cost = [*COST, {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xywh'}]
    config = {**FREQUENT, 'match_costs': cost, 'class_frequency': FREQUENCY}
    head = DETRHead(
        num_classes=CLASSES, embed_dims=8, train_cfg=ConfigDict(assigner=config),
        loss_cls=ConfigDict(type='CrossEntropyLoss', class_weight=1.0, bg_cls_weight=0.1, use_sigmoid=False),
    )
    truth = InstanceData(bboxes=torch.tensor([[2.0, 2, 30, 30], [40, 40, 62, 60]]), labels=torch.tensor([0, 3]))
    scores, boxes = head(torch.randn(1, 1, 10, 8, generator=torch.Generator().manual_seed(0)))
    losses = head.loss_by_feat(scores, boxes, [truth], [{'img_shape': (64, 64)}])
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    labels, *_, positive, _ = head._get_targets_single(scores[0, 0], boxes[0, 0], truth, {'img_shape': (64, 64)})
    assert len(positive) == 5 and (labels == 3).sum() == 4
