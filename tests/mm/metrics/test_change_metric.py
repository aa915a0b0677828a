"""Blocks, areas, merging, ranks: what all metrics of pairs share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from imbdense.registry import METRICS
from tests.helpers.change_samples import build, change_samples, evaluate, make_sample
from tests.helpers.simulated_ranks import SimulatedRanks
from tests.helpers.two_ranks import run_two_ranks

SCD = {'type': 'imbdense.SCDMetric', 'protocol': ['sem', 'from_to'], 'ci': {'n_boot': 50}}
CONFIGS = [
    SCD,
    {'type': 'imbdense.BCDMetric', 'sweep': False, 'ci': {'n_boot': 50}},
    {'type': 'imbdense.PostClassificationMetric', 'ci': {'n_boot': 50}},
    {'type': 'imbdense.DynamicEarthNetMetric'},
]
named = pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])


def samples_of(number: int, classes: int = 4) -> list[dict[str, Any]]:
    """Full-scene samples with a projected grid, which every metric here can read."""
    samples = change_samples(number, classes, full=True)
    for sample in samples:
        sample['transform'] = (10.0, 0, 0, 0, -10.0, 0)
    return samples


@named
def test_four_simulated_ranks_with_padding_equal_one(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(6)
    expected, metric = evaluate(config, samples)
    padded = (samples * 2)[:8]

    def on_rank(rank: int) -> tuple[dict[str, float], dict[str, Any]]:
        own = build(config)
        for sample in padded[rank::4]:
            own.process(None, [sample])
        return own.evaluate(6), own.artifact

    for scalars, artifact in SimulatedRanks(4, monkeypatch).run(on_rank):
        assert scalars == expected and artifact == metric.artifact


def test_columns_of_many_classes_over_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 16 classes every rank brings other columns; one rank brings none."""
    samples = samples_of(3, 18)
    expected, _ = evaluate(SCD, samples, 18)

    def on_rank(rank: int) -> dict[str, float]:
        own = build(SCD, 18)
        for sample in samples[rank::4]:
            own.process(None, [sample])
        return own.evaluate(3)

    for scalars in SimulatedRanks(4, monkeypatch).run(on_rank):
        assert scalars == expected


def _two_processes() -> list[Any]:
    samples = samples_of(5)
    padded = [*samples, samples[0]]
    results = []
    for config in CONFIGS:
        own = build(config)
        own.process(None, padded[dist.get_rank() :: 2])
        results.append((own.evaluate(5), own.artifact))
    return results


def test_two_processes_equal_one() -> None:
    ranks = run_two_ranks(_two_processes)
    for position, config in enumerate(CONFIGS):
        expected, metric = evaluate(config, samples_of(5))
        for results in ranks:
            assert results[position] == (expected, metric.artifact)


@named
def test_merged_tiles_equal_the_whole(config: dict[str, Any]) -> None:
    """Tiles of a raster, counted apart, named by the block they lie in."""
    raster = samples_of(1)[0]
    keys = [key for key in raster if key.startswith(('pred', 'gt'))]
    tiles = []
    for row in (0, 8):
        for column in (0, 8):
            part = {key: {'data': raster[key]['data'][:, row : row + 8, column : (column + 8 if column == 0 else None)]}
                    for key in keys}  # fmt: skip
            tiles.append({**raster, **part, 'block_id': f'{row},{column}'})
    whole, one = evaluate(config, tiles)
    parts = [build(config) for _ in tiles]
    for metric, tile in zip(parts, tiles):
        metric.process(None, [tile])
    for metric in parts[1:]:
        parts[0].merge(metric)
    assert parts[0].evaluate(4) == whole and parts[0].artifact == one.artifact
    revived = build(config)
    revived.load_state_dict(one_state(config, tiles[:2]))
    revived.process(None, tiles[2:])
    assert revived.evaluate(4) == whole
    plain = evaluate(config, [raster])[0]
    for name in plain:
        if not name.endswith(('_lo', '_hi')):
            assert whole[name] == plain[name], name


def one_state(config: dict[str, Any], samples: list[Any]) -> dict[str, Any]:
    metric = build(config)
    metric.process(None, samples)
    return metric.state_dict()


def test_counting_goes_on_after_state_dict_and_other_metrics_do_not_merge() -> None:
    samples = samples_of(4)
    metric = build(SCD)
    metric.process(None, samples[:2])
    state = metric.state_dict()
    assert state['samples'] == 2
    metric.process(None, samples[2:])
    assert metric.evaluate(4) == evaluate(SCD, samples)[0]
    assert state['tables']['bcd'].sum() == 2 * 16 * 19, 'the state does not change afterwards'
    with pytest.raises(TypeError, match='BCDMetric'):
        metric.merge(build(CONFIGS[1]))
    with pytest.raises(ValueError, match='same classes'):
        other = build(SCD, 4)
        other.process(None, samples[:1])
        other.load_state_dict(state)
        five = build(SCD, 5)
        five.process(None, samples[:1])
        other.merge(five)


def test_counts_beyond_two_to_the_31_stay_exact() -> None:
    samples = samples_of(3)
    metric = build(SCD)
    state = one_state(SCD, samples)
    factor = 5_000_000_000
    metric.load_state_dict({**state, 'tables': {name: table * factor for name, table in state['tables'].items()
                                                if not name.startswith('area')}})  # fmt: skip
    single = make_sample('/data/one.png', *(np.array([[value]]) for value in (1, 0, 1, 1, 0, 1)))
    metric.process(None, [{**single, 'transform': None}])
    found = metric.evaluate(4)
    table = np.array(metric.artifact['tables']['sem'], dtype=object)
    before = np.array(state['tables']['sem'].tolist(), dtype=object) * factor
    assert table[1, 1] == before[1, 1] + 1 and table[2, 2] == before[2, 2] + 1 and table.sum() == before.sum() + 2
    assert found['scd/sem/SeK'] == pytest.approx(evaluate(SCD, samples)[0]['scd/sem/SeK'], rel=1e-9)


def test_intervals_hold_the_point_and_follow_the_seed() -> None:
    samples = change_samples(12)
    found, metric = evaluate({**SCD, 'ci': {'n_boot': 300, 'seed': 1}}, samples)
    for name in ('scd/sem/SeK', 'scd/from_to/SeK', 'scd/sem/F_scd', 'bcd/F1', 'bcd/IoU', 'scd/sem/OA'):
        assert found[f'{name}_lo'] < found[name] < found[f'{name}_hi']
    assert evaluate({**SCD, 'ci': {'n_boot': 300, 'seed': 1}}, samples)[0] == found
    assert evaluate({**SCD, 'ci': {'n_boot': 300, 'seed': 2}}, samples)[0] != found
    assert metric.artifact['blocks']['ids'] == sorted(metric.artifact['blocks']['ids'])
    bare = evaluate({**SCD, 'ci': None}, samples)
    assert not any(name.endswith('_lo') for name in bare[0]) and bare[1].artifact['blocks'] is None


def test_large_samples_are_cut_into_blocks() -> None:
    sample = change_samples(1, side=16)[0]
    cut, metric = evaluate({**SCD, 'ci': {'type': 'SpatialBlockBootstrap', 'block': 8, 'n_boot': 20}}, [sample])
    whole, _ = evaluate(SCD, [sample])
    assert len(metric.artifact['blocks']['ids']) == 6  # 16 x 19 pixels
    for name in whole:
        if not name.endswith(('_lo', '_hi')):
            assert cut[name] == whole[name], name
    assert whole['scd/sem/SeK_lo'] == whole['scd/sem/SeK_hi'], 'one block has no spread'
    named = [{**sample, 'block_id': 'north'}, {**sample, 'block_id': 'north'}]
    _, metric = evaluate({**SCD, 'ci': {'block': 8, 'n_boot': 20}}, named)
    assert metric.artifact['blocks']['ids'] == ['north']


def test_small_windows_of_a_scene_make_up_its_blocks() -> None:
    """Intervals over windows would be too narrow: a block is a square of the scene, however it was cut for testing."""
    scene = change_samples(1, side=16, full=True)[0]
    config = {**SCD, 'ci': {'block': 8, 'n_boot': 30}}
    whole, one = evaluate(config, [{**scene, 'window': (0, 0, 16, 19)}])
    windows = []
    for row, bottom in ((0, 5), (5, 9), (9, 16)):
        for column, right in ((0, 3), (3, 12), (12, 19)):
            part = {key: {'data': value['data'][:, row:bottom, column:right]}
                    for key, value in scene.items() if key != 'img_path'}  # fmt: skip
            windows.append({**scene, **part, 'window': (row, column, bottom - row, right - column)})
    found, metric = evaluate(config, windows)
    assert found == whole and metric.artifact['blocks'] == one.artifact['blocks']
    assert metric.artifact['blocks']['ids'] == [f'/data/0.png@{r},{c}' for r in (0, 8) for c in (0, 16, 8)]
    resized = {**scene, 'window': (3, 3, 32, 38)}  # no longer the window it was: cut by itself
    assert len(evaluate(config, [resized])[1].artifact['blocks']['ids']) == 6


def test_a_grid_in_degrees_gives_no_areas(caplog: Any) -> None:
    samples = change_samples(2, full=True)
    for sample in samples:
        sample['transform'] = (1e-5, 0, 15, 0, -1e-5, 47)
    _, metric = evaluate(SCD, samples)
    assert 'hectares' not in metric.artifact['transitions']


def test_device_of_the_maps_and_dtype_do_not_matter() -> None:
    samples = change_samples(2)
    small = [{key: {'data': value['data'].to(torch.uint8)} if isinstance(value, dict) else value
              for key, value in sample.items()} for sample in samples]  # fmt: skip
    assert evaluate(SCD, small)[0] == evaluate(SCD, samples)[0]
    assert METRICS.get('SCDMetric').card == 'change_metrics'
