"""DenseRankingMetric against scikit-learn on the pixels, bounds, NaN, sigmoid heads, subsets and subgroups."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from imbdense.registry import METRICS
from tests.mm.metrics.samples import CLASSES, evaluate, segmentation_samples

CONFIG = {'type': 'imbdense.DenseRankingMetric'}


def pixels(samples: list[Any], softmax: bool) -> tuple[np.ndarray, np.ndarray]:
    logits = torch.cat([s['seg_logits']['data'].double().flatten(1) for s in samples], dim=1)
    labels = torch.cat([s['gt_sem_seg']['data'].flatten() for s in samples])
    keep = labels != 255
    return (logits.softmax(0) if softmax else logits)[:, keep].numpy(), labels[keep].numpy()


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.bfloat16, 16), (torch.float16, 16), (torch.float16, 19)])
def test_exact_for_logits_of_sixteen_bits(dtype: torch.dtype, bits: int) -> None:
    samples = segmentation_samples(6, dtype=dtype)
    scalars, metric = evaluate({**CONFIG, 'score': 'logit', 'bits': bits}, samples)
    scores, labels = pixels(samples, softmax=False)
    for row, name in enumerate(CLASSES[:4]):
        assert abs(scalars[f'auroc/{name}'] - roc_auc_score(labels == row, scores[row])) < 1e-12
        assert abs(scalars[f'ap/{name}'] - average_precision_score(labels == row, scores[row])) < 1e-12
        assert scalars[f'auroc_lo/{name}'] == scalars[f'auroc_hi/{name}'] == scalars[f'auroc/{name}']
    assert metric.artifact['exact'] is True


def test_float16_needs_its_own_key_and_one_dtype_only() -> None:
    samples = segmentation_samples(2, dtype=torch.float16)
    assert evaluate({**CONFIG, 'score': 'logit', 'bits': 17}, samples)[1].artifact['exact'] is False
    with pytest.raises(ValueError, match='1 images have float16 logits and 1 have not'):
        evaluate({**CONFIG, 'score': 'logit'}, [samples[0], segmentation_samples(2)[1]])


def test_best_threshold_of_float16_logits_is_one_of_their_values() -> None:
    samples = segmentation_samples(4, dtype=torch.float16)
    scalars, _ = evaluate({**CONFIG, 'score': 'logit', 'metrics': ['best_f1']}, samples)
    scores, _ = pixels(samples, softmax=False)
    for row, name in enumerate(CLASSES[:4]):
        assert scalars[f'best_threshold/{name}'] in scores[row]


@pytest.mark.parametrize(('score', 'softmax'), [('prob', True), ('margin', True), ('logit', False)])
@pytest.mark.parametrize('bits', [8, 16])
def test_bounds_hold_the_truth(score: str, softmax: bool, bits: int) -> None:
    samples = segmentation_samples(4)
    scalars, metric = evaluate({**CONFIG, 'score': score, 'bits': bits}, samples)
    scores, labels = pixels(samples, softmax)
    for row, name in enumerate(CLASSES[:4]):
        for key, function in (('auroc', roc_auc_score), ('ap', average_precision_score)):
            truth = function(labels == row, scores[row])
            assert scalars[f'{key}_lo/{name}'] - 1e-6 <= truth <= scalars[f'{key}_hi/{name}'] + 1e-6
            if bits == 16:
                assert scalars[f'{key}/{name}'] == pytest.approx(truth, abs=2e-3)
    assert metric.artifact['exact'] is False


def test_undefined_class_is_left_out_and_named() -> None:
    scalars, metric = evaluate(CONFIG, segmentation_samples(2))
    assert metric.artifact['undefined'] == ['pylon']
    assert 'auroc/pylon' not in scalars and scalars['prevalence/pylon'] == 0.0
    assert scalars['macro_auroc'] == pytest.approx(np.mean([scalars[f'auroc/{name}'] for name in CLASSES[:4]]))
    assert {'macro_ap', 'macro_fpr95', 'macro_auroc_tail', 'auroc_se/crane'} <= set(scalars)


def test_nan_scores_are_counted_or_refused() -> None:
    samples, clean = segmentation_samples(2), segmentation_samples(2)
    samples[1]['seg_logits']['data'][2, 0, :3] = float('nan')
    samples[1]['gt_sem_seg']['data'][0, 0, :3] = torch.tensor([0, 1, 255])
    clean[1]['gt_sem_seg']['data'][0, 0, :3] = 255
    scalars, metric = evaluate(CONFIG, samples)
    expected, _ = evaluate(CONFIG, clean)
    assert scalars['ranking_nan_pixels'] == 2 and metric.artifact['nan_pixels'] == 2
    assert scalars['auroc/road'] == expected['auroc/road']
    with pytest.raises(ValueError, match=r'2 pixels of /data/1.png have NaN'):
        evaluate({**CONFIG, 'strict': True}, samples)


def test_subset_of_classes_keeps_their_values() -> None:
    samples = segmentation_samples(3)
    everything, _ = evaluate(CONFIG, samples)
    subset, metric = evaluate({**CONFIG, 'classes': ['crane', 'car']}, samples)
    for name in ('crane', 'car'):
        assert subset[f'auroc/{name}'] == everything[f'auroc/{name}']
    assert 'auroc/road' not in subset and metric.artifact['classes'] == ['crane', 'car']
    with pytest.raises(ValueError, match='zebra'):
        evaluate({**CONFIG, 'classes': ['zebra']}, samples)


def test_sigmoid_head_judges_the_last_class() -> None:
    samples = segmentation_samples(3)
    for sample in samples:
        label = sample['gt_sem_seg']['data']
        sample['gt_sem_seg']['data'] = torch.where(label == 255, 255, (label == 2).long())
        sample['seg_logits']['data'] = sample['seg_logits']['data'][2:3]
    scalars, metric = evaluate(CONFIG, samples, classes=('background', 'car'))
    assert metric.artifact['classes'] == ['car']
    scores, labels = pixels(samples, softmax=False)
    assert scalars['auroc/car'] == pytest.approx(roc_auc_score(labels == 1, scores[0]), abs=2e-3)


def test_subgroups_and_gaps() -> None:
    samples = segmentation_samples(4)
    for sample in samples[1::2]:
        sample['seg_logits']['data'] *= 0.01
        sample['seg_logits']['data'] += torch.randn(sample['seg_logits']['data'].shape)
    scalars, metric = evaluate({**CONFIG, 'subgroup_key': 'city'}, samples)
    groups = metric.artifact['subgroups']
    assert set(groups) == {'city0', 'city1'}
    alone, _ = evaluate(CONFIG, samples[::2])
    assert groups['city0']['car']['auroc'] == alone['auroc/car']
    assert scalars['auroc_gap/car'] == pytest.approx(groups['city0']['car']['auroc'] - groups['city1']['car']['auroc'])
    with pytest.raises(KeyError, match='meta_keys'):
        evaluate({**CONFIG, 'subgroup_key': 'month'}, samples)


def test_options_and_artifact() -> None:
    config = {**CONFIG, 'max_fpr': 0.1, 'prevalence': 1e-3, 'per_image': True, 'metrics': ('ap', 'best_f1')}
    scalars, metric = evaluate(config, segmentation_samples(4))
    assert {'pauroc/car', 'ap_adjusted/car', 'image_ap/car', 'best_f1/car', 'best_threshold/car'} <= set(scalars)
    assert 'auroc/car' not in scalars
    assert scalars['ap_adjusted/car'] < scalars['ap/car']
    artifact = json.loads(json.dumps(metric.artifact, allow_nan=False))
    curve = artifact['per_class'][0]['curve']
    assert len(curve['fpr']) == len(curve['tpr']) == len(curve['precision']) <= 200
    assert artifact['per_class'][4]['curve'] is None
    assert artifact['kind'] == 'ranking'


@pytest.mark.parametrize(
    ('extra', 'message'),
    [({'bits': 30}, 'bits'), ({'score': 'p'}, 'score'), ({'metrics': ('f2',)}, 'metrics'), ({'max_fpr': 0}, 'max_fpr')],
)
def test_bad_arguments_are_named(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METRICS.build({**CONFIG, **extra})


def test_logits_must_fit_classes_and_labels() -> None:
    samples = segmentation_samples(1)
    with pytest.raises(ValueError, match='5 channels but the data set has 3 classes'):
        evaluate(CONFIG, samples, classes=('a', 'b', 'c'))
    samples[0]['seg_logits']['data'] = samples[0]['seg_logits']['data'][:, :5]
    with pytest.raises(ValueError, match='resized'):
        evaluate(CONFIG, samples)
