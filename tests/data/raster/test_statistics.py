from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.raster import statistics as module
from imbdense.data.raster.bands import Band
from imbdense.data.raster.statistics import (
    BandStatistics,
    StatisticsCounter,
    cached_statistics,
    keep_statistics,
    read_statistics,
    statistics_key,
)

BANDS = (Band('a'), Band('e', 'terrain', 'east'), Band('n', 'terrain', 'north'))


def counted(values: np.ndarray, step: int) -> BandStatistics:
    """Statistics of rows added in pieces."""
    counter = StatisticsCounter(BANDS, 3)
    for number, start in enumerate(range(0, len(values), step)):
        part = values[start:start + step]
        counter.add(part, np.full(len(part), number % 3, np.uint8), np.random.default_rng(number))
    return counter.finish('k')


def test_running_moments_equal_those_of_all_values_at_once() -> None:
    values = (1e6 + np.random.default_rng(0).normal(0, 2, (5000, 3))).astype(np.float32)  # where naive sums fail
    found = counted(values, 137)
    assert found.mean[0] == pytest.approx(values[:, 0].astype(float).mean(), abs=1e-6)
    assert found.std[0] == pytest.approx(values[:, 0].astype(float).std(), rel=1e-9)
    assert found.low[0] == pytest.approx(np.percentile(values[:, 0].astype(float), 0.1))
    assert found.pixels == 5000 and sum(found.class_pixels) == 5000
    assert counted(values, 5000).mean[0] == pytest.approx(found.mean[0], abs=1e-9)


def test_vectors_keep_their_zero_and_constants_do_not_divide_by_zero() -> None:
    values = np.tile(np.array([[7.0, 0.6, 0.8]], np.float32), (10, 1))
    found = counted(values, 10)
    assert found.mean == (7.0, 0.0, 0.0) and found.std == (1.0, 1.0, 1.0)


def test_the_sample_is_bounded_and_unbiased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'SAMPLE', 500)
    counter = StatisticsCounter(BANDS, 3)
    for number in range(20):
        values = np.full((400, 3), number, np.float32)
        counter.add(values, np.zeros(400, np.uint8), np.random.default_rng(number))
    assert len(counter._sample) == 500 and counter._sample[:, 0].mean() == pytest.approx(9.5, abs=0.8)


def test_nothing_valid_is_an_error() -> None:
    with pytest.raises(ValueError, match='no valid pixel'):
        StatisticsCounter(BANDS, 3).finish()


def test_kept_statistics_come_back_and_damaged_ones_do_not(tmp_path: Path) -> None:
    found = counted(np.random.default_rng(0).random((100, 3)).astype(np.float32), 50)
    assert BandStatistics.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    keep_statistics(tmp_path / 'new', found)
    assert cached_statistics(tmp_path / 'new', 'k') == found and cached_statistics(tmp_path / 'new', 'other') is None
    (tmp_path / 'new' / 'k.json').write_text('{"mean": 1}')
    assert cached_statistics(tmp_path / 'new', 'k') is None
    with pytest.raises(ValueError, match=r'k\.json'):
        read_statistics(tmp_path / 'new' / 'k.json')
    (tmp_path / 'file').write_text('')
    keep_statistics(tmp_path / 'file', found)  # cannot be written: no error


def test_the_key_follows_the_files_and_the_description(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    path.write_bytes(b'1')
    first = statistics_key([str(path)], {'bands': [1]})
    assert statistics_key([str(path)], {'bands': [1]}) == first != statistics_key([str(path)], {'bands': [2]})
    path.write_bytes(b'22')
    assert statistics_key([str(path)], {'bands': [1]}) != first
