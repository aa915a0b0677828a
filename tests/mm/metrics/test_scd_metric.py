"""SCDMetric: both protocols against a loop over pixels, both label conventions, ignored pixels, messages, artefact."""

from __future__ import annotations

import copy
import csv
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData

from imbdense.core.metrics.change_scores import HistogramSums, change_scores
from imbdense.mm.structures.scd_data_sample import SCDDataSample
from tests.helpers.change_samples import change_samples, evaluate, make_sample, perfect, slow_tables

CONFIG = {'type': 'imbdense.SCDMetric', 'protocol': ['sem', 'from_to']}
PLAIN = {**CONFIG, 'metrics': ['oa', 'miou', 'sek', 'fscd', 'kappa']}


def expected_scores(samples: list[Any], classes: int) -> dict[str, float]:
    tables = slow_tables(samples, classes)
    return {
        f'scd/{protocol}/{name}': float(value)
        for protocol in ('sem', 'from_to')
        for name, value in change_scores(HistogramSums.of(tables[protocol])).items()
    }


@pytest.mark.parametrize('classes', [4, 6, 18])
@pytest.mark.parametrize('full', [False, True])
def test_equals_a_loop_over_pixels(classes: int, full: bool) -> None:
    samples = change_samples(5, classes, full=full, dead=True, ignored=True)
    found, metric = evaluate(PLAIN, samples, classes)
    for name, value in expected_scores(samples, classes).items():
        assert found[name] == pytest.approx(value, rel=1e-13), name
    tables = slow_tables(samples, classes)
    assert metric.artifact['tables']['sem'] == tables['sem'].tolist()
    assert found['scd/mIoU'] == found['scd/sem/mIoU']


@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('ignored', [False, True])
def test_perfect_prediction_is_one_everywhere(full: bool, ignored: bool) -> None:
    samples = perfect(change_samples(4, full=full))
    if ignored:
        for sample in samples:
            for key in ('gt_sem_seg', 'gt_sem_t1', 'gt_sem_t2'):
                sample[key] = {'data': sample[key]['data'].clone()}
                sample[key]['data'][:, 3:6] = 255
    found, _ = evaluate(CONFIG, samples)
    flags = ('valid', 'kappa_degenerate', 'present', 'effective', 'zero_recall', 'false_change')
    checked = {name: value for name, value in found.items() if not name.endswith(flags)}
    assert len(checked) > 40 and set(checked.values()) == {1.0}, checked
    assert found['scd/lt_zero_recall'] == found['bcd/false_change'] == 0 and found['scd/sem/valid'] == 1


@pytest.mark.parametrize('full', [False, True])
def test_nothing_and_shuffled_classes(full: bool) -> None:
    samples = perfect(change_samples(4, full=full))
    silent, shuffled = copy.deepcopy(samples), copy.deepcopy(samples)
    for sample in silent:
        sample['pred_sem_seg']['data'] *= 0
    for sample in shuffled:
        for key in ('pred_sem_t1', 'pred_sem_t2'):
            maps = sample[key]['data']
            sample[key]['data'] = torch.where(maps == 255, maps, (maps + 1) % 4)
    found, _ = evaluate(CONFIG, silent)
    for protocol in ('sem', 'from_to'):
        assert found[f'scd/{protocol}/SeK'] == 0 and found[f'scd/{protocol}/F_scd'] == 0
    found, _ = evaluate(CONFIG, shuffled)
    for protocol in ('sem', 'from_to'):
        assert found[f'scd/{protocol}/SeK'] < 0 and found[f'scd/{protocol}/mIoU'] == 1.0


def test_independent_errors_cost_more_from_to() -> None:
    found, _ = evaluate(CONFIG, change_samples(6, 6, side=32), 6)
    assert found['scd/from_to/SeK'] < found['scd/sem/SeK']


@pytest.mark.parametrize('field', ['gt_sem_seg', 'gt_sem_t1', 'both dates'])
def test_ignored_pixels_are_as_if_cropped_away(field: str) -> None:
    samples, cropped = change_samples(3, full=True), []
    for sample in samples:
        cropped.append({key: value if key == 'img_path' else {'data': value['data'][:, 4:]}
                        for key, value in sample.items()})  # fmt: skip
        if field == 'gt_sem_seg':
            sample['gt_sem_seg']['data'][:, :4] = 255
            continue
        sample['gt_sem_seg']['data'][:, :4] = 1  # changed from or into the unknown
        for key in ('gt_sem_t1', 'gt_sem_t2') if field == 'both dates' else ('gt_sem_t1',):
            sample[key]['data'][:, :4] = 255
    config = {'type': 'imbdense.SCDMetric', 'protocol': ['sem', 'from_to']}
    ours, theirs = evaluate(config, samples)[0], evaluate(config, cropped)[0]
    bare = [name for name in theirs if field == 'gt_sem_seg' or not name.startswith(('bcd', 'binary', 'semantic/SCD'))]
    if field == 'gt_sem_t1':  # the other date is known and counts in "sem"
        bare = [name for name in bare if 'from_to' in name or name.startswith('trans/')]
    assert len(bare) > 10
    for name in bare:
        assert ours[name] == theirs[name], name


def test_both_ways_to_predict_land_cover_score_alike() -> None:
    """S channels, or S + 1 with a channel for "unchanged": the maps differ, what is counted does not."""
    samples = change_samples(3, dead=True)
    dead = copy.deepcopy(samples)
    for sample in dead:
        for key in ('pred_sem_t1', 'pred_sem_t2'):  # outside predicted change the dead channel wins as well
            sample[key]['data'] = torch.where(sample['pred_sem_seg']['data'] == 1, sample[key]['data'], 255)
    assert evaluate(CONFIG, samples)[0] == evaluate(CONFIG, dead)[0]


def test_change_labels_are_derived_where_there_are_none() -> None:
    for full, mode in ((True, 'full'), (False, 'change_only')):
        samples = change_samples(3, full=full)
        bare = [{key: value for key, value in sample.items() if key != 'gt_sem_seg'} for sample in samples]
        config = {**CONFIG, 'label_mode': mode}
        assert evaluate(config, samples)[0] == evaluate(config, bare)[0]


def test_change_from_semantic_disagreement() -> None:
    samples = change_samples(3, full=True)
    moved = copy.deepcopy(samples)
    for sample in moved:
        sample['pred_sem_seg']['data'] = (sample['pred_sem_t1']['data'] != sample['pred_sem_t2']['data']).long()
    ours, _ = evaluate({**CONFIG, 'change_from': 'semantic_disagreement'}, samples)
    assert ours == evaluate(CONFIG, moved)[0]
    for sample in samples:
        del sample['pred_sem_seg']  # two plain segmentations need no change head
    assert evaluate({**CONFIG, 'change_from': 'semantic_disagreement'}, samples)[0] == ours


def test_no_change_at_all_is_undefined_not_zero() -> None:
    zeros = np.zeros((5, 5))
    found, metric = evaluate(CONFIG, [make_sample('/data/a.png', zeros, zeros, zeros, zeros, zeros, zeros)])
    assert found['scd/sem/valid'] == 0 and found['scd/sem/OA'] == 1
    for name in ('scd/sem/SeK', 'scd/mIoU', 'scd/sem/F_scd', 'bcd/F1', 'trans/macro_iou', 'scd/macro_recall'):
        assert name not in found and metric.artifact['scalars'][name] is None


def test_image_mean_accuracy() -> None:
    samples = change_samples(3)
    small = change_samples(1, side=4, seed=9)
    found, _ = evaluate({**CONFIG, 'oa': 'image_mean'}, samples + small)
    each = []
    for sample in samples + small:
        table = slow_tables([sample], 4)['sem']
        each.append(np.trace(table) / table.sum())
    assert found['scd/sem/OA'] == pytest.approx(np.mean(each))
    assert found['scd/sem/OA'] != pytest.approx(evaluate(CONFIG, samples + small)[0]['scd/sem/OA'], abs=1e-6)


def test_per_class_open_cd_names_and_selection() -> None:
    samples = change_samples(4)
    found, metric = evaluate(CONFIG, samples, ['water', 'ground', 'tree', 'house'])
    table = slow_tables(samples, 4)['sem']
    assert found['scd/recall/tree'] == table[3, 3] / table[:, 3].sum()
    assert found['semantic/Sek'] == found['scd/sem/SeK'] and found['binary/mIoU'] == found['bcd/mIoU']
    assert found['semantic/SCD_Score'] == pytest.approx(0.3 * found['bcd/mIoU'] + 0.7 * found['scd/sem/SeK'])
    assert [record['class'] for record in metric.artifact['per_class']] == ['water', 'ground', 'tree', 'house']
    few, _ = evaluate({**CONFIG, 'protocol': 'sem', 'metrics': ['sek']}, samples)
    assert set(few) == {'scd/sem/SeK', 'scd/sem/Score', 'scd/sem/separated_kappa', 'scd/sem/valid',
                        'scd/sem/kappa_degenerate'}  # fmt: skip


def test_transitions_and_csv(tmp_path: Any) -> None:
    samples = change_samples(3, full=True)
    for sample in samples:
        sample['transform'] = (2.0, 0, 0, 0, -2.0, 0)
    path = tmp_path / 'out/transitions.csv'
    _, metric = evaluate({**CONFIG, 'out_csv': str(path)}, samples)
    table = slow_tables(samples, 4)['from_to']
    found = metric.artifact['transitions']
    assert found['labelled'] == table.sum(axis=0)[1:].reshape(4, 4).tolist()
    assert found['predicted'] == table.sum(axis=1)[1:].reshape(4, 4).tolist()
    assert found['hit'] == np.diag(table)[1:].reshape(4, 4).tolist()
    np.testing.assert_allclose(found['hectares']['labelled'], np.array(found['labelled']) * 4 / 10_000)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == len(found['records'])
    assert int(rows[0]['labelled']) == np.max(found['labelled'])
    assert float(rows[0]['labelled_ha']) == pytest.approx(int(rows[0]['labelled']) * 4e-4)
    del samples[0]['transform']
    assert 'hectares' not in evaluate(CONFIG, samples)[1].artifact['transitions']


def test_through_the_evaluator_and_data_samples() -> None:
    dicts, samples = change_samples(2, ignored=True), []
    for record in dicts:
        sample = SCDDataSample(metainfo={'img_path': record['img_path']})
        for key in ('t1', 't2'):
            setattr(sample, f'gt_sem_{key}', PixelData(data=record[f'gt_sem_{key}']['data']))
            setattr(sample, f'pred_sem_{key}', PixelData(data=record[f'pred_sem_{key}']['data'].to(torch.uint8)))
        sample.gt_cd = PixelData(data=record['gt_sem_seg']['data'])
        sample.pred_cd = PixelData(data=record['pred_sem_seg']['data'].float())  # as a one-channel host head leaves it
        samples.append(sample)
    evaluator = Evaluator([CONFIG])
    evaluator.dataset_meta = {'classes': ('unchanged', 'changed'), 'land_cover': [f'class{i}' for i in range(4)]}
    evaluator.process(samples)
    assert evaluator.evaluate(2) == evaluate(CONFIG, dicts)[0]


def test_artifact_is_json() -> None:
    _, metric = evaluate({**CONFIG, 'ci': {'n_boot': 20}}, change_samples(3))
    record = json.loads(json.dumps(metric.artifact, allow_nan=False))
    assert record['kind'] == 'change' and record['classes'] == ['class0', 'class1', 'class2', 'class3']
    assert set(record['blocks']['sums']) == {'scd/sem', 'scd/from_to', 'bcd'} and len(record['blocks']['ids']) == 3
    labelled = np.sum(record['blocks']['sums']['scd/sem'], axis=0)[5:10]
    assert labelled.tolist() == np.sum(record['tables']['sem'], axis=0).tolist()


def test_mistakes_name_what_is_wrong() -> None:
    samples = change_samples(2)
    with pytest.raises(ValueError, match=r'/data/1.png.*\[9\].*C = 4'):
        wrong = copy.deepcopy(samples)
        wrong[1]['pred_sem_t2']['data'][0, 0, 0] = 9
        evaluate(CONFIG, wrong)
    with pytest.raises(ValueError, match=r'/data/0\.png differ in size'):
        wrong = copy.deepcopy(samples)
        wrong[0]['pred_sem_seg']['data'] = torch.zeros(1, 2, 2)
        evaluate(CONFIG, wrong)
    with pytest.raises(KeyError, match='label folders per date'):
        evaluate(CONFIG, [{k: v for k, v in samples[0].items() if k != 'gt_sem_t2'}])
    with pytest.raises(ValueError, match='whole numbers 0 to 255'):
        wrong = copy.deepcopy(samples)
        wrong[0]['pred_sem_seg']['data'] = wrong[0]['pred_sem_seg']['data'] + 0.5
        evaluate(CONFIG, wrong)
    with pytest.raises(ValueError, match='land_cover'):
        evaluate(CONFIG, samples, [])
    with pytest.raises(ValueError, match='num_land_classes is 3'):
        evaluate({**CONFIG, 'num_land_classes': 3}, samples)
    for arguments in ({'protocol': 'sek'}, {'metrics': ['f1']}, {'label_mode': 'x'}, {'oa': 'mean'},
                      {'ci': {'boots': 3}}, {'ci': {'type': 'Pixels'}},
                      {'protocol': 'from_to', 'oa': 'image_mean'}, {'protocol': []}):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            evaluate({**CONFIG, **arguments}, samples)


def test_another_ignore_value_and_the_note_about_0_255_files(caplog: Any) -> None:
    samples = change_samples(2, ignored=True)
    moved = copy.deepcopy(samples)
    for sample in moved:
        for key in ('gt_sem_seg', 'gt_sem_t1', 'gt_sem_t2'):
            sample[key]['data'][sample[key]['data'] == 255] = -1
    assert evaluate({**CONFIG, 'ignore_index': -1}, moved)[0] == evaluate(CONFIG, samples)[0]
    for sample in samples:
        change = sample['gt_sem_seg']['data']
        sample['gt_sem_seg']['data'] = torch.where(change == 1, 255, 0)
    found, metric = evaluate(CONFIG, samples)
    assert metric.artifact['census']['ignored'] > 0 and math.isnan(found.get('bcd/recall', math.nan))


class Replay(BaseModel):
    """A model whose predictions are the samples it was made with."""

    def __init__(self, samples: list[Any]) -> None:
        super().__init__()
        self.samples, self.weight = samples, torch.nn.Parameter(torch.zeros(1))

    def forward(self, index: list[int], mode: str = 'tensor') -> Any:
        return {'loss': self.weight.sum()} if mode == 'loss' else [self.samples[i] for i in index]


def test_save_best_keeps_the_best_checkpoint(tmp_path: Any) -> None:
    samples = change_samples(2)
    dataset = [{'index': index} for index in range(2)]
    loader = {'batch_size': 1, 'num_workers': 0, 'dataset': dataset, 'collate_fn': {'type': 'pseudo_collate'},
              'sampler': {'type': 'DefaultSampler', 'shuffle': False}}  # fmt: skip
    hook = {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 100, 'save_best': 'scd/sem/SeK', 'rule': 'greater'}
    config = {**CONFIG, 'num_land_classes': 4}
    runner = Runner(
        Replay(samples), str(tmp_path), train_dataloader=loader, val_dataloader=loader, val_evaluator=[config],
        val_cfg={}, train_cfg={'by_epoch': False, 'max_iters': 2, 'val_interval': 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}}, default_hooks={'checkpoint': hook},
        default_scope='mmengine', experiment_name=tmp_path.name,
    )  # fmt: skip
    runner.train()
    best = list(tmp_path.glob('best_scd_sem_SeK*.pth'))
    assert len(best) == 1
    expected = evaluate(CONFIG, samples)[0]['scd/sem/SeK']
    assert runner.message_hub.get_info('best_score') == pytest.approx(expected)
