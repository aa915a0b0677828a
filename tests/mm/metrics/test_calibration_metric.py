"""CalibrationMetric: values against the pixels, groups, sigmoid heads, NaN, the artefact."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.mm.metrics.samples import CLASSES, evaluate, segmentation_samples
from tests.mm.metrics.test_dense_ranking_metric import pixels

CONFIG = {'type': 'imbdense.CalibrationMetric'}


def test_equals_the_definition() -> None:
    samples = segmentation_samples(4)
    scalars, _ = evaluate(CONFIG, samples)
    probs, labels = pixels(samples, softmax=True)
    nll = -np.log(probs[labels, np.arange(labels.size)])
    assert scalars['NLL'] == pytest.approx(nll.mean(), abs=1e-5)
    assert scalars['NLL/crane'] == pytest.approx(nll[labels == 3].mean(), abs=1e-5)
    assert scalars['gap/car'] == pytest.approx(probs[2].mean() - (labels == 2).mean(), abs=1e-6)
    assert scalars['mNLL'] == pytest.approx(np.mean([nll[labels == row].mean() for row in range(4)]), abs=1e-5)
    assert {'ECE', 'cwECE', 'cwECE_tail', 'NLL_head', 'Brier/road'} <= set(scalars)
    assert not any('pylon' in name for name in scalars)


def test_sigmoid_head_is_two_classes() -> None:
    one, two = segmentation_samples(2), segmentation_samples(2)
    for first, second in zip(one, two):
        label = first['gt_sem_seg']['data']
        binary = torch.where(label == 255, 255, (label == 2).long())
        first['gt_sem_seg']['data'] = second['gt_sem_seg']['data'] = binary
        logit = first['seg_logits']['data'][2:3]
        first['seg_logits']['data'] = logit
        second['seg_logits']['data'] = torch.cat([torch.zeros_like(logit), logit])
    names = ('background', 'car')
    assert evaluate(CONFIG, one, classes=names)[0] == evaluate(CONFIG, two, classes=names)[0]


def test_nan_logits_are_counted_or_refused() -> None:
    samples = segmentation_samples(2)
    samples[0]['seg_logits']['data'][1, 0, 0] = float('nan')
    samples[0]['gt_sem_seg']['data'][0, 0, 0] = 1
    scalars, _ = evaluate(CONFIG, samples)
    assert scalars['calibration_nan_pixels'] == 1 and np.isfinite(list(scalars.values())).all()
    with pytest.raises(ValueError, match=r'1 pixels of /data/0.png'):
        evaluate({**CONFIG, 'strict': True}, samples)


def test_artifact_holds_reliability_bins() -> None:
    samples = segmentation_samples(2)
    _, metric = evaluate({**CONFIG, 'bins': 10}, samples)
    artifact = json.loads(json.dumps(metric.artifact, allow_nan=False))
    total = sum(int((sample['gt_sem_seg']['data'] != 255).sum()) for sample in samples)
    assert artifact['kind'] == 'calibration' and artifact['absent'] == [4]
    for bins in (artifact['reliability'], artifact['per_class'][1]['reliability']):
        assert sum(bins['count']) == total and len(bins['count']) == 10
        for count, confidence in zip(bins['count'], bins['confidence']):
            assert (count == 0) == (confidence is None)
    assert [record['class'] for record in artifact['per_class']] == list(CLASSES)
