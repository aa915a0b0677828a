"""PointInstanceAPMetric: masks and maps, groups, ranks, what it says about bad samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from imbdense.registry import METRICS
from tests.helpers.two_ranks import run_two_ranks

CLASSES = ('ground', 'house', 'car', 'mast')


def sample(seed: int) -> dict[str, Any]:
    """12 objects of 15 points; predictions with holes and wrong names, as masks."""
    rng = np.random.default_rng(seed)
    instance = np.repeat(np.arange(12), 15)
    semantic = rng.choice(3, 12, p=(0.3, 0.5, 0.2))[instance]
    masks = [(instance == i) & (rng.random(180) < 0.85) for i in range(12)]
    labels = [int(semantic[i * 15]) if rng.random() < 0.8 else 1 for i in range(12)]
    return {
        'scene': f's{seed}',
        'gt_pts_seg': {'semantic': torch.from_numpy(semantic), 'instance': torch.from_numpy(instance)},
        'pred_instances': {
            'masks': torch.from_numpy(np.array(masks)), 'labels': torch.tensor(labels),
            'scores': torch.from_numpy(rng.random(12)),
        },
    }  # fmt: skip


def evaluate(samples: list[Any], **options: Any) -> tuple[dict[str, float], Any]:
    metric = METRICS.build(dict(type='imbdense.PointInstanceAPMetric', **options))
    metric.dataset_meta = {'classes': CLASSES}
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(len(samples)), metric


def test_per_class_groups_and_artefact() -> None:
    samples = [sample(i) for i in range(6)]
    values, metric = evaluate(samples, stuff=('ground',))
    assert 0 < values['AP'] < values['AP50'] <= values['AP25'] <= 1
    assert values['AP'] == pytest.approx((values['AP/house'] + values['AP/car']) / 2)
    assert values['AP_head'] == values['AP/house'] and values['AP_tail'] == values['AP/car']
    assert 'AP/ground' not in values and 'AP/mast' not in values
    artefact = metric.artifact
    assert artefact['kind'] == 'instance_ap' and artefact['absent'] == [3]
    truth = sum(int((s['gt_pts_seg']['semantic'][::15] == 1).sum()) for s in samples)
    assert artefact['per_class'][1]['objects'] == truth
    assert len(artefact['per_class'][1]['by_threshold']) == 10 and artefact['per_class'][0]['AP'] is None


def test_an_instance_map_is_as_good_as_masks() -> None:
    """The class of an object is its most frequent one, its score the mean of that class over its points."""
    one = sample(0)
    instance = one['gt_pts_seg']['instance']
    semantic = one['gt_pts_seg']['semantic'].clone()
    semantic[::15] = 3  # one point of each object is called a mast
    scores = torch.rand(180, 4, dtype=torch.float64)
    as_map = {**one, 'pred_pts_seg': {'instance': instance, 'semantic': semantic, 'scores': scores}}
    del as_map['pred_instances']
    label = one['gt_pts_seg']['semantic'][::15]
    as_masks = {**one, 'pred_instances': {
        'masks': torch.arange(12)[:, None] == instance, 'labels': label,
        'scores': torch.stack([scores[instance == i, label[i]].mean() for i in range(12)]),
    }}  # fmt: skip
    assert evaluate([as_map])[0] == pytest.approx(evaluate([as_masks])[0])
    del as_map['pred_pts_seg']['scores']
    assert evaluate([as_map])[0]['AP'] == 1


def test_no_prediction_at_all_is_zero() -> None:
    one = sample(0)
    one['pred_instances'] = {'masks': torch.zeros(0, 180), 'labels': torch.zeros(0), 'scores': torch.zeros(0)}
    assert evaluate([one])[0]['AP'] == 0


def test_a_scene_whose_points_are_all_ignored_says_nothing() -> None:
    one = sample(0)
    void = {**one, 'gt_pts_seg': {'semantic': torch.full((180,), -1), 'instance': torch.full((180,), -1)}}
    assert evaluate([one, void])[0] == evaluate([one])[0]
    assert 'AP' not in evaluate([void])[0]


def on_rank() -> dict[str, float]:
    samples = [sample(i) for i in range(5)]
    metric = METRICS.build(dict(type='imbdense.PointInstanceAPMetric'))
    metric.dataset_meta = {'classes': CLASSES}
    for one in [*samples, samples[0]][dist.get_rank() :: 2]:  # as DefaultSampler pads
        metric.process({}, [one])
    return metric.evaluate(5)


def test_two_ranks_equal_one() -> None:
    single = evaluate([sample(i) for i in range(5)])[0]
    assert run_two_ranks(on_rank) == [single, single]


def test_bad_samples_are_named() -> None:
    one = sample(7)
    with pytest.raises(KeyError, match='s7 has no gt_pts_seg with instance'):
        evaluate([{**one, 'gt_pts_seg': {'semantic': one['gt_pts_seg']['semantic']}}])
    with pytest.raises(KeyError, match='does the model predict objects'):
        evaluate([{'scene': 's7', 'gt_pts_seg': one['gt_pts_seg']}])
    with pytest.raises(ValueError, match=r'scene s7: masks must be \(K, 180\)'):
        evaluate([{**one, 'pred_instances': {**one['pred_instances'], 'masks': torch.ones(12, 99)}}])
    with pytest.raises(ValueError, match="stuff names"):
        evaluate([one], stuff=('sea',))
    with pytest.raises(ValueError, match='min_region'):
        METRICS.build(dict(type='imbdense.PointInstanceAPMetric', min_region=0))
