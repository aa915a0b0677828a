"""XView2Metric against a loop over pixels; the building map of the first date, where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imbdense.registry import METRICS

LEVELS = ('no building', 'none', 'minor', 'major', 'destroyed')


def samples(number: int = 3, buildings: bool = True) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for index in range(number):
        truth = torch.randint(0, 5, (1, 15, 15), generator=generator)
        level = torch.where(torch.rand(truth.shape, generator=generator) < 0.3,
                            torch.randint(0, 5, truth.shape, generator=generator), truth)  # fmt: skip
        where = (level > 0).long()
        where = torch.where(torch.rand(truth.shape, generator=generator) < 0.1, 1 - where, where)
        before = (truth > 0).long()
        truth[torch.rand(truth.shape, generator=generator) < 0.1] = 255
        sample = {'img_path': f'/data/{index}.png', 'gt_sem_seg': {'data': truth}, 'pred_sem_seg': {'data': level}}
        if buildings:
            sample |= {'gt_sem_t1': {'data': before}, 'pred_sem_t1': {'data': where}}
        found.append(sample)
    return found


def evaluate(data: list[Any], classes: Any = LEVELS) -> dict[str, float]:
    metric = METRICS.build({'type': 'imbdense.XView2Metric'})
    metric.dataset_meta = {'classes': classes}
    metric.process(None, data)
    return metric.evaluate(len(data))


def slow(data: list[Any], buildings: bool) -> dict[str, float]:
    tp, wrong = [0] * 5, [0] * 5  # place 0: buildings
    for sample in data:
        flat = {key: sample[key]['data'].ravel().tolist() for key in sample if key != 'img_path'}
        truth, level = flat['gt_sem_seg'], flat['pred_sem_seg']
        where = flat['pred_sem_t1'] if buildings else [int(v > 0) for v in level]
        before = flat['gt_sem_t1'] if buildings else [v if v == 255 else int(v > 0) for v in truth]
        for g, p, w, b in zip(truth, level, where, before):
            if b != 255:
                tp[0] += w and b
                wrong[0] += w != b
            if g not in (0, 255):
                said = p * w
                if said == g:
                    tp[g] += 1
                else:
                    wrong[g] += 1
                    if said:
                        wrong[said] += 1
    f1 = [2 * t / (2 * t + w) for t, w in zip(tp, wrong)]
    dam = 4 / sum(1 / (value + 1e-6) for value in f1[1:])
    return {'F1_loc': f1[0], 'F1_dam': dam, 'score': 0.3 * f1[0] + 0.7 * dam,
            **{f'F1/{name}': value for name, value in zip(LEVELS[1:], f1[1:])}}  # fmt: skip


@pytest.mark.parametrize('buildings', [True, False])
def test_equals_a_loop_over_pixels(buildings: bool) -> None:
    data = samples(buildings=buildings)
    found = evaluate(data)
    for name, value in slow(data, buildings).items():
        assert found[f'xview2/{name}'] == pytest.approx(value, rel=1e-12), name


def test_missed_building_costs_damage_too() -> None:
    data = samples()
    before = evaluate(data)
    for sample in data:
        sample['pred_sem_t1']['data'] *= 0
    after = evaluate(data)
    assert after['xview2/F1_loc'] == 0 and after['xview2/F1_dam'] < 1e-5 < before['xview2/F1_dam']


def test_mistakes() -> None:
    with pytest.raises(ValueError, match='five classes'):
        evaluate(samples(1), ('a', 'b'))
    data = samples(1)
    data[0]['pred_sem_seg']['data'][0, 0, 0], data[0]['pred_sem_t1']['data'][0, 0, 0] = 8, 1
    data[0]['gt_sem_seg']['data'][0, 0, 0] = 1
    with pytest.raises(ValueError, match=r'/data/0.png.*\[8\]'):
        evaluate(data)
