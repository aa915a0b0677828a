"""BCDMetric: the change class by hand, thresholds, kinds of change, one-channel models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imbdense.registry import METRICS

CONFIG = {'type': 'imbdense.BCDMetric'}


def samples(number: int = 3, channels: int = 2, seed: int = 0) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for index in range(number):
        label = (torch.rand(1, 20, 20, generator=generator) < 0.1).long()
        logits = torch.randn(channels, 20, 20, generator=generator)
        logits[-1] += 2.5 * label[0] - 1
        label[torch.rand(1, 20, 20, generator=generator) < 0.1] = 255
        if channels == 1:
            logits = logits.sigmoid()
            pred = (logits > 0.5).float()
        else:
            pred = logits.argmax(0, keepdim=True)
        found.append({'img_path': f'/data/{index}.png', 'gt_sem_seg': {'data': label}, 'seg_logits': {'data': logits},
                      'pred_sem_seg': {'data': pred}})  # fmt: skip
    return found


def evaluate(config: dict[str, Any], data: list[Any], classes: Any = ('unchanged', 'changed')) -> tuple[Any, Any]:
    metric = METRICS.build(dict(config))
    metric.dataset_meta = {'classes': classes}
    metric.process(None, data)
    return metric.evaluate(len(data)), metric


def slow(data: list[Any], said: list[np.ndarray]) -> dict[str, float]:
    tp = fp = fn = tn = 0
    for sample, pred in zip(data, said):
        for p, g in zip(pred.ravel().tolist(), sample['gt_sem_seg']['data'].ravel().tolist()):
            if g == 255:
                continue
            tp, fp, fn, tn = tp + (p and g > 0), fp + (p and g == 0), fn + (not p and g > 0), tn + (not p and g == 0)
    return {'precision': tp / (tp + fp), 'recall': tp / (tp + fn), 'F1': 2 * tp / (2 * tp + fp + fn),
            'IoU': tp / (tp + fp + fn), 'OA': (tp + tn) / (tp + fp + fn + tn),
            'mIoU': (tp / (tp + fp + fn) + tn / (tn + fp + fn)) / 2}  # fmt: skip


@pytest.mark.parametrize('channels', [1, 2])
@pytest.mark.parametrize('threshold', [0.5, 0.2])
def test_equals_a_loop_over_pixels(channels: int, threshold: float) -> None:
    data = samples(channels=channels)
    logits = [sample['seg_logits']['data'] for sample in data]
    said = [(z[0] if channels == 1 else z.softmax(0)[1]) >= threshold for z in logits]
    found, metric = evaluate({**CONFIG, 'threshold': threshold}, data)
    for name, value in slow(data, said).items():
        assert found[f'bcd/{name}'] == pytest.approx(value), name
    assert found['binary/mIoU'] == found['bcd/mIoU'] and found['bcd/recall/changed'] == found['bcd/recall']
    assert metric.artifact['kind'] == 'binary_change' and np.sum(metric.artifact['histogram']) > 0


def test_sweep_and_its_best_threshold() -> None:
    data = samples()
    found, _ = evaluate(CONFIG, data)
    assert found['bcd/AP_lo'] <= found['bcd/AP'] <= found['bcd/AP_hi']
    best, _ = evaluate({**CONFIG, 'threshold': found['bcd/best_threshold']}, data)
    assert best['bcd/F1'] == pytest.approx(found['bcd/best_F1'])
    assert best['bcd/F1'] >= found['bcd/F1'], 'the model itself is not moved'
    bare = [{key: value for key, value in sample.items() if key != 'seg_logits'} for sample in data]
    plain, metric = evaluate({**CONFIG, 'sweep': False}, bare)
    assert 'bcd/AP' not in plain and plain['bcd/F1'] == found['bcd/F1'] and metric.artifact['histogram'] is None


def test_kinds_of_change_count_as_one_but_are_told_apart() -> None:
    label = torch.tensor([[[0, 1, 1, 2, 2, 2, 255]]])
    pred = torch.tensor([[[1, 2, 0, 2, 0, 0, 1]]])
    sample = {'img_path': 'a.png', 'gt_sem_seg': {'data': label}, 'pred_sem_seg': {'data': pred}}
    found, _ = evaluate({**CONFIG, 'sweep': False}, [sample], ('unchanged', 'new', 'gone'))
    assert found['bcd/recall'] == pytest.approx(2 / 5) and found['bcd/precision'] == pytest.approx(2 / 3)
    assert found['bcd/recall/new'] == 0.5 and found['bcd/recall/gone'] == pytest.approx(1 / 3)


def test_no_change_anywhere_has_no_score() -> None:
    zeros = torch.zeros(1, 4, 4, dtype=torch.long)
    sample = {'img_path': 'a.png', 'gt_sem_seg': {'data': zeros}, 'pred_sem_seg': {'data': zeros},
              'seg_logits': {'data': torch.zeros(2, 4, 4)}}  # fmt: skip
    found, metric = evaluate(CONFIG, [sample])
    assert 'bcd/F1' not in found and 'bcd/AP' not in found and found['bcd/OA'] == 1
    assert metric.artifact['scalars']['bcd/F1'] is None


def test_areas() -> None:
    data = samples(2)
    for sample in data:
        sample['transform'] = (100.0, 0, 0, 0, -100.0, 0)
    _, metric = evaluate(CONFIG, data)
    changed = sum(int((sample['gt_sem_seg']['data'] == 1).sum()) for sample in data)
    assert metric.artifact['hectares']['labelled'] == changed
    assert evaluate(CONFIG, samples(2))[1].artifact['hectares'] is None


def test_mistakes() -> None:
    data = samples(1, channels=1)
    data[0]['seg_logits']['data'] = data[0]['seg_logits']['data'] * 4
    with pytest.raises(ValueError, match='one channel and must be probabilities'):
        evaluate(CONFIG, data)
    with pytest.raises(ValueError, match='threshold'):
        evaluate({**CONFIG, 'threshold': 2.0}, samples(1))
    data = samples(1)
    data[0]['gt_sem_seg']['data'][0, 0, 0] = 7
    with pytest.raises(ValueError, match=r'/data/0.png.*\[7\]'):
        evaluate(CONFIG, data)
    del data[0]['seg_logits']
    with pytest.raises(KeyError, match='sweep=False'):
        evaluate(CONFIG, data)


def test_equals_the_host_on_its_own_names() -> None:
    """open-cd reports what mmseg's IoUMetric computes, in percent with two digits."""
    from mmseg.evaluation import IoUMetric

    data = samples(4)
    theirs = IoUMetric(iou_metrics=['mIoU', 'mFscore'])
    theirs.dataset_meta = {'classes': ('unchanged', 'changed')}
    theirs.process(None, data)
    expected = theirs.evaluate(4)
    found, _ = evaluate(CONFIG, data)
    for name in ('mIoU', 'mFscore'):
        assert 100 * found[f'binary/{name}'] == pytest.approx(expected[name], abs=0.0051)
    assert 100 * found['bcd/OA'] == pytest.approx(expected['aAcc'], abs=0.0051)


def test_beside_scd_metric_it_needs_a_prefix() -> None:
    from mmengine.evaluator import Evaluator

    from tests.helpers.change_samples import change_samples

    data = change_samples(2)
    for scd, prefix in (({}, 'change'), ({'metrics': ['sek']}, '')):
        evaluator = Evaluator([{'type': 'imbdense.SCDMetric', **scd}, {**CONFIG, 'sweep': False, 'prefix': prefix}])
        evaluator.dataset_meta = {'classes': ('unchanged', 'changed'), 'land_cover': list('abcd')}
        evaluator.process(data)
        found = evaluator.evaluate(2)
        assert found[f'{prefix}/bcd/F1'.lstrip('/')] > 0 and 'scd/sem/SeK' in found
        assert 'bcd/F1' not in found or found['bcd/F1'] == found[f'{prefix}/bcd/F1'.lstrip('/')]


def test_what_is_left_out_as_undefined_can_be_asked_for() -> None:
    data = samples()
    for sample in data:
        sample['gt_sem_seg']['data'].zero_()
        sample['pred_sem_seg']['data'].zero_()
    found, metric = evaluate({**CONFIG, 'prefix': 'change'}, data)
    assert 'change/bcd/F1' not in found and 'change/bcd/F1' in metric.undefined
    assert not metric.undefined & set(found)


def test_a_model_of_other_classes_is_refused() -> None:
    data = samples(1)
    data[0]['seg_logits']['data'] = torch.zeros(3, 20, 20)
    with pytest.raises(ValueError, match=r'3 channels for /data/0.png.*2 classes.*num_classes'):
        evaluate(CONFIG, data)
    data = samples(1)
    data[0]['pred_sem_seg']['data'][0, 3, 3] = 2
    with pytest.raises(ValueError, match=r'/data/0.png holds the class 2.*C = 2 classes'):
        evaluate({**CONFIG, 'sweep': False}, data)


@pytest.mark.parametrize('ignored', [True, False])
def test_labels_of_0_and_255_are_told(ignored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr('imbdense.mm.metrics.bcd_metric.log_table', lambda *parts: told.extend(parts[3]))
    data = samples(2)
    for sample in data:
        label = sample['gt_sem_seg']['data']
        label[label > 0] = 255 if ignored else 0
    evaluate(CONFIG, data)
    assert any("format_seg_map='to_binary'" in note for note in told) is ignored


def test_an_unknown_entry_of_ci_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match='BCDMetric: ci takes n_boot, seed, alpha, block, but not nboot'):
        METRICS.build({**CONFIG, 'ci': {'nboot': 5}})
