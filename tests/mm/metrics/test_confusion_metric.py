"""ConfusionMetric: equal to mmseg's IoUMetric where that is right, groups, absent classes, the artefact."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub

from imbdense.core.stats import ClassCounts
from imbdense.mm.metrics.group_counts import HUB_KEY
from tests.mm.metrics.samples import CLASSES, evaluate, segmentation_samples

CONFIG = {'type': 'imbdense.ConfusionMetric'}


@pytest.fixture(autouse=True)
def no_counts_in_the_hub() -> Any:
    hub = MessageHub.get_current_instance()
    hub.runtime_info.pop(HUB_KEY, None)
    yield hub
    hub.runtime_info.pop(HUB_KEY, None)


def test_equals_mmseg() -> None:
    from mmseg.evaluation import IoUMetric

    samples = segmentation_samples(4)
    ours, metric = evaluate(CONFIG, samples)
    theirs = IoUMetric(iou_metrics=['mIoU', 'mDice', 'mFscore'])
    theirs.dataset_meta = {'classes': CLASSES[:4]}  # mmseg gives the absent class IoU 0 once it is predicted
    seen = []
    for sample in samples:
        kept = sample['pred_sem_seg']['data'] != 4
        label = torch.where(kept, sample['gt_sem_seg']['data'], 255)
        seen.append({**sample, 'gt_sem_seg': {'data': label}})
    ours, metric = evaluate(CONFIG, seen)
    theirs.process(None, seen)
    expected = theirs.evaluate(4)
    for ours_name, theirs_name in (('mIoU', 'mIoU'), ('aAcc', 'aAcc'), ('mRecall', 'mAcc'), ('mDice', 'mDice'),
                                   ('mPrecision', 'mPrecision')):  # fmt: skip
        assert round(ours[ours_name] * 100, 2) == pytest.approx(expected[theirs_name], abs=0.0051), ours_name
    assert metric.artifact['absent'] == [4]


def test_per_class_and_groups_are_returned() -> None:
    scalars, metric = evaluate(CONFIG, segmentation_samples(4))
    assert {'mIoU', 'mIoU_harmonic', 'worst_IoU', 'aAcc', 'IoU/crane', 'Dice/crane', 'precision/crane', 'recall/crane',
            'mIoU_head', 'mIoU_medium', 'mIoU_tail'} <= set(scalars)  # fmt: skip
    assert not any('pylon' in name for name in scalars)
    assert scalars['worst_IoU'] == min(scalars[f'IoU/{name}'] for name in CLASSES[:4])
    assert metric.artifact['groups'] == {'head': [0], 'medium': [1, 2], 'tail': [3]}
    assert scalars['mIoU_medium'] == pytest.approx((scalars['IoU/roof'] + scalars['IoU/car']) / 2)
    assert metric.artifact['counts_source'] == 'true pixels of the evaluated set'


def test_through_the_evaluator_and_data_samples() -> None:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples, dicts = [], segmentation_samples(2)
    for record in dicts:
        sample = SegDataSample(metainfo={'img_path': record['img_path']})
        sample.gt_sem_seg = PixelData(data=record['gt_sem_seg']['data'])
        sample.pred_sem_seg = PixelData(data=record['pred_sem_seg']['data'])
        sample.seg_logits = PixelData(data=record['seg_logits']['data'])
        samples.append(sample)
    evaluator = Evaluator([CONFIG, {'type': 'imbdense.DenseRankingMetric'}, {'type': 'imbdense.CalibrationMetric'}])
    evaluator.dataset_meta = {'classes': CLASSES}
    evaluator.process(samples)
    scalars = evaluator.evaluate(2)
    expected, _ = evaluate(CONFIG, dicts)
    assert expected.items() <= scalars.items()
    assert {'macro_auroc', 'ECE'} <= set(scalars)


def test_artifact_is_json_and_adds_up() -> None:
    samples = segmentation_samples(3)
    _, metric = evaluate(CONFIG, samples)
    artifact = json.loads(json.dumps(metric.artifact, allow_nan=False))
    assert artifact['kind'] == 'confusion'
    assert artifact['scalars']['IoU/pylon'] is None
    table = np.array(artifact['table'])
    assert table.sum() == sum(int((sample['gt_sem_seg']['data'] != 255).sum()) for sample in samples)
    assert [image['img_path'] for image in artifact['per_image']] == ['/data/0.png', '/data/1.png', '/data/2.png']
    hit = np.zeros(5, dtype=int)
    for image in artifact['per_image']:
        hit[image['classes']] += image['intersect']
    assert hit.tolist() == np.diag(table).tolist()
    assert evaluate({**CONFIG, 'per_image': False}, samples)[1].artifact['per_image'] == []


def test_counts_from_list_file_and_hub(tmp_path: Any, no_counts_in_the_hub: MessageHub) -> None:
    record = ClassCounts(
        classes=tuple(reversed(CLASSES)), pixels=np.array([5, 4, 3, 2, 1]), images=np.array([1, 2, 3, 4, 5])
    )
    path = tmp_path / 'class_counts.json'
    path.write_text(record.to_json())
    samples = segmentation_samples(2)
    cases = [
        ({'class_counts': [1, 2, 3, 4, 5]}, [1, 2, 3, 4, 5], 'class_counts of the config'),
        ({'class_counts': str(path)}, [1, 2, 3, 4, 5], 'pixels in class_counts.json'),
        ({'class_counts': str(path), 'count': 'images'}, [5, 4, 3, 2, 1], 'images in class_counts.json'),
    ]
    for extra, counts, source in cases:
        artifact = evaluate({**CONFIG, **extra}, samples)[1].artifact
        assert artifact['counts'] == counts and artifact['counts_source'] == source
    for value in (record, record.to_dict()):
        no_counts_in_the_hub.update_info(HUB_KEY, value)
        artifact = evaluate(CONFIG, samples)[1].artifact
        assert artifact['counts'] == [1, 2, 3, 4, 5]
        assert artifact['counts_source'] == 'pixels of the training set'
        assert artifact['groups']['head'] == [3, 4]


def test_ranges_and_mistakes() -> None:
    samples = segmentation_samples(2)
    ranges = {'rare': (1, 100), 'frequent': (101, None)}
    scalars, metric = evaluate({**CONFIG, 'groups': ranges, 'class_counts': [900, 500, 50, 10, 0]}, samples)
    assert metric.artifact['groups'] == {'rare': [2, 3], 'frequent': [0, 1]}
    assert {'mIoU_rare', 'mRecall_frequent'} <= set(scalars)
    with pytest.raises(ValueError, match='5 classes'):
        evaluate({**CONFIG, 'class_counts': [1, 2]}, samples)
    with pytest.raises(FileNotFoundError, match='imbdense stats'):
        evaluate({**CONFIG, 'class_counts': 'nowhere.json'}, samples)


def test_prediction_of_another_size_names_the_image() -> None:
    samples = segmentation_samples(1)
    samples[0]['pred_sem_seg']['data'] = torch.zeros(1, 3, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r'/data/0.png.*same number of positions'):
        evaluate(CONFIG, samples)
