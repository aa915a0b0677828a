"""DynamicEarthNetMetric against a loop over pixels and dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core.metrics.change_series import series_scores
from imbdense.registry import METRICS

COVER = ('impervious', 'field', 'forest', 'water')


def series(dates: int, number: int = 2, ignored: bool = False) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = []
    for index in range(number):
        truth = [rng.integers(0, 3, (9, 11))]
        for _ in range(dates - 1):
            truth.append(np.where(rng.random((9, 11)) < 0.3, rng.integers(0, 3, (9, 11)), truth[-1]))
        pred = [np.where(rng.random((9, 11)) < 0.2, rng.integers(0, 3, (9, 11)), maps) for maps in truth]
        if ignored:
            truth = [np.where(rng.random((9, 11)) < 0.1, 255, maps) for maps in truth]
        sample: dict[str, Any] = {'img_path': f'/data/{index}.png'}
        for date in range(dates):
            sample[f'gt_sem_t{date + 1}'] = {'data': torch.from_numpy(truth[date])[None]}
            sample[f'pred_sem_t{date + 1}'] = {'data': torch.from_numpy(pred[date])[None]}
        found.append(sample)
    return found


def evaluate(data: list[Any], cover: Any = COVER) -> tuple[dict[str, float], Any]:
    metric = METRICS.build({'type': 'imbdense.DynamicEarthNetMetric'})
    metric.dataset_meta = {'classes': ('unchanged', 'changed'), 'land_cover': cover}
    metric.process(None, data)
    return metric.evaluate(len(data)), metric


@pytest.mark.parametrize('dates', [2, 4])
@pytest.mark.parametrize('ignored', [False, True])
def test_equals_a_loop(dates: int, ignored: bool) -> None:
    data = series(dates, ignored=ignored)
    binary, semantic = np.zeros((2, 2), int), np.zeros((4, 4), int)
    for sample in data:
        for date in range(1, dates):
            keys = [f'{side}_sem_t{date + step}' for step in (0, 1) for side in ('gt', 'pred')]
            for g, p, h, q in zip(*(sample[key]['data'].ravel().tolist() for key in keys)):
                if 255 in (g, h):
                    continue
                binary[int(p != q), int(g != h)] += 1
                if g != h:
                    semantic[q, h] += 1
    found, metric = evaluate(data)
    for name, value in series_scores(binary, semantic).items():
        assert found[f'den/{name}'] == pytest.approx(value)
    assert metric.artifact['tables']['binary'] == binary.tolist()
    assert 'den/IoU/water' not in found and 0 < found['den/IoU/forest'] < 1


def test_right_maps_are_one_and_mistakes_are_named() -> None:
    data = series(3)
    for sample in data:
        for date in (1, 2, 3):
            sample[f'pred_sem_t{date}'] = sample[f'gt_sem_t{date}']
    found, _ = evaluate(data)
    assert found['den/SCS'] == found['den/BC'] == found['den/SC'] == found['den/mIoU'] == 1.0
    with pytest.raises(ValueError, match='one date only'):
        evaluate([{key: value for key, value in data[0].items() if key.endswith(('path', 't1'))}])
    with pytest.raises(ValueError, match='land_cover'):
        evaluate(data, ())
    data[1]['pred_sem_t2'] = {'data': data[1]['pred_sem_t2']['data'] + 4}
    with pytest.raises(ValueError, match=r'/data/1\.png'):
        evaluate(data)
