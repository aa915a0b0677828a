"""BalancedClassRoISampler against mmdet's assigner results: parts per class, negatives, CombinedSampler, the ledger."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.models.task_modules.assigners import AssignResult
from mmdet.registry import TASK_UTILS
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.mm.element_samplers import element_samplers
from imbdense.mm.prior import build_ledger

KIND = {'type': 'imbdense.BalancedClassRoISampler'}


def build(config, **options):
    init_default_scope('mmdet')
    return TASK_UTILS.build({'num': 64, 'pos_fraction': 0.5, 'add_gt_as_proposals': False, **config, **options},
                            default_args={'context': None})  # fmt: skip


def image(positives, negatives, objects=None):
    """Proposals: ``positives[c]`` of class c, each class one object; then background."""
    objects = len(positives) if objects is None else objects
    labels = np.repeat(np.arange(len(positives)), positives)
    number = labels.size + negatives
    gt_inds = torch.zeros(number, dtype=torch.long)
    gt_inds[: labels.size] = torch.from_numpy(labels) + 1
    classes = torch.full((number,), -1)
    classes[: labels.size] = torch.from_numpy(labels)
    assigned = AssignResult(objects, gt_inds, torch.rand(number), classes)
    boxes = torch.tensor([[float(i), 0, i + 4.0, 4] for i in range(objects)]).reshape(-1, 4)
    proposals = torch.rand(number, 4) + torch.tensor([0.0, 0, 5, 5])
    return assigned, InstanceData(priors=proposals), InstanceData(bboxes=boxes, labels=torch.arange(objects))


def test_every_class_gets_equally_many_positives():
    torch.manual_seed(0)
    result = build(KIND).sample(*image([200, 20, 2], 500))
    per_class = torch.bincount(result.pos_gt_labels, minlength=3)
    assert sorted(per_class.tolist()) == [10, 11, 11]
    assert result.num_neg == 32 == result.neg_inds.unique().numel()
    assert result.pos_priors.shape == (32, 4) and result.pos_gt_bboxes.shape == (32, 4)
    assert (result.pos_gt_bboxes[:, 0] == result.pos_gt_labels).all(), 'each positive keeps its object'


def test_the_share_of_background_is_that_of_the_random_sampler():
    for positives, negatives in (([200, 20], 500), ([5, 1], 500), ([5, 1], 3)):
        ours, host = (
            build(config).sample(*image(positives, negatives)) for config in (KIND, {'type': 'RandomSampler'})
        )
        assert len(ours.pos_inds) == len(host.pos_inds) and len(ours.neg_inds) == len(host.neg_inds)


def test_bound_of_negatives_and_annotated_boxes():
    result = build(KIND, neg_pos_ub=2, add_gt_as_proposals=True).sample(*image([3, 1], 400))
    assert len(result.pos_inds) == 6 and len(result.neg_inds) == 12
    assert set(torch.bincount(result.pos_gt_labels).tolist()) == {3}
    assert result.pos_is_gt[result.pos_gt_labels == 1].any(), 'both of the two are drawn, one is the box itself'


@pytest.mark.parametrize('boxes', [True, False])
def test_image_without_objects(boxes):
    result = build(KIND, add_gt_as_proposals=boxes).sample(*image([], 100, objects=0))
    assert result.pos_inds.numel() == 0 and result.neg_inds.numel() == 64
    assert result.pos_gt_bboxes.shape == (0, 4)


def test_as_the_positive_part_of_the_combined_sampler():
    torch.manual_seed(0)
    combined = build({'type': 'CombinedSampler', 'pos_sampler': KIND, 'neg_sampler': {'type': 'RandomSampler'}})
    result = combined.sample(*image([200, 20, 2], 500))
    assert torch.bincount(result.pos_gt_labels).tolist() == [15, 15, 2], 'no repetition; the rest is shared'
    assert result.pos_inds.unique().numel() == 32


def test_declared_effect_is_what_is_drawn():
    """Three kinds of images; as many proposals per object everywhere."""
    torch.manual_seed(0)
    rows, draws = [[8, 1, 0], [4, 0, 0], [3, 1, 1]], np.array([1.0, 2.0, 0.5])
    table = ImageClassTable.from_dense(rows)
    sampler = build(KIND, num=1000)
    factors = sampler.sampling_factors(table, draws, np.ones(3) / 3)
    drawn, given = np.zeros(3), np.zeros(3)
    for row, rate in zip(rows, draws):
        for _ in range(30):
            result = sampler.sample(*image([6 * count for count in row], 50))
            drawn += rate * np.bincount(result.pos_gt_labels.numpy(), minlength=3)
            given += rate * 6 * np.array(row)
    assert drawn / given == pytest.approx(factors, rel=0.02)


def test_ledger_finds_it_in_a_cascade_and_names_what_it_does_not_know():
    class RoIHead(torch.nn.Module):
        def __init__(self, *samplers):
            super().__init__()
            self.bbox_sampler = list(samplers)

    counts = ClassCounts(('a', 'b'), instances=[30, 2])
    table = ImageClassTable.from_dense([[15, 1], [15, 1]])
    model = torch.nn.ModuleDict({'rpn_head': RoIHead(build(KIND)), 'roi_head': RoIHead(build(KIND), build(KIND))})
    elements, _ = element_samplers(model)
    assert len(elements) == 1
    ledger, unknown = build_ledger(counts, table, torch.utils.data.TensorDataset(), None, elements=elements)
    assert ledger.seen_prior == pytest.approx([0.5, 0.5]) and not unknown
    combined = build({'type': 'CombinedSampler', 'pos_sampler': KIND, 'neg_sampler': {'type': 'RandomSampler'}})
    elements, remarks = element_samplers(torch.nn.ModuleDict({'roi_head': RoIHead(combined)}))
    assert not elements and 'BalancedClassRoISampler inside CombinedSampler' in remarks[0]
