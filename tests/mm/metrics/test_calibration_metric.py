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
        first['seg_logits']['data'] = logit.sigmoid()  # what mmseg stores
        second['seg_logits']['data'] = torch.cat([torch.zeros_like(logit), logit])
    names = ('background', 'car')
    assert evaluate(CONFIG, one, classes=names)[0] == pytest.approx(
        evaluate(CONFIG, two, classes=names)[0], abs=1e-6)
    one[0]['seg_logits']['data'] = one[0]['seg_logits']['data'] * 3
    with pytest.raises(ValueError, match=r'one channel of seg_logits of .* reaches outside'):
        evaluate(CONFIG, one, classes=names)


def test_sigmoid_of_the_host_is_read_as_it_is_stored() -> None:
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    head = dict(type='FCNHead', in_channels=4, channels=4, num_classes=2, out_channels=1, threshold=0.5,
                num_convs=0, concat_input=False, norm_cfg=None)
    model = MODELS.build(dict(type='EncoderDecoder', decode_head=head, backbone=dict(
        type='MobileNetV2', widen_factor=0.1, out_indices=(0,)), test_cfg=dict(mode='whole')))
    logits = torch.linspace(-3, 3, 12).view(1, 1, 3, 4)
    stored = model.postprocess_result(logits)[0].seg_logits.data
    assert torch.equal(stored, logits[0].sigmoid())


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
