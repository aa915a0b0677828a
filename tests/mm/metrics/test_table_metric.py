"""What all table metrics share: batch split, ranks, padding, an empty rank, an empty set."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.logging import MMLogger

from imbdense.registry import METRICS
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.metrics.samples import CLASSES, evaluate, segmentation_samples

CONFIGS = [
    {'type': 'imbdense.ConfusionMetric'},
    {'type': 'imbdense.DenseRankingMetric', 'per_image': True, 'subgroup_key': 'city'},
    {'type': 'imbdense.CalibrationMetric'},
]


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_batch_split_changes_nothing(config: dict[str, Any]) -> None:
    samples = segmentation_samples(7)
    whole, first = evaluate(config, samples, batch=7)
    parts, second = evaluate(config, samples, batch=1)
    assert whole == parts
    assert first.artifact == second.artifact


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_a_second_evaluation_starts_from_zero(config: dict[str, Any]) -> None:
    samples = segmentation_samples(3)
    first, metric = evaluate(config, samples)
    metric.process(None, samples)
    assert metric.evaluate(3) == first


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_prefix_and_distinct_names(config: dict[str, Any]) -> None:
    scalars, _ = evaluate({**config, 'prefix': 'val'}, segmentation_samples(2))
    assert scalars and all(name.startswith('val/') for name in scalars)


def test_metrics_can_run_side_by_side() -> None:
    names = [set(evaluate(config, segmentation_samples(2))[0]) for config in CONFIGS]
    assert sum(len(part) for part in names) == len(set().union(*names))


CASES = ((5, 'padded'), (1, 'padded'), (4, 'all on rank 1'), (4, 'repeated in a row'))
"""With 5 samples on 2 ranks, rank 1 sees sample 0 a second time; with 1 sample, both ranks see it."""


def _indices(size: int, share: str, rank: int) -> list[int]:
    """The samples of this rank: padded as DefaultSampler does, or badly split on purpose."""
    if share == 'padded':
        return (list(range(size)) * 2)[: -(-size // 2) * 2][rank::2]
    if share == 'all on rank 1':
        return list(range(size)) if rank == 1 else []
    return [0, 1] if rank == 0 else [2, 3, 0, 1]


def _evaluate_shares() -> list[Any]:
    """Per case and config (scalars, artefact) of this rank, and the warnings it logged."""
    outcome = []
    for size, share in CASES:
        samples = segmentation_samples(size)
        results, warnings = [], []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record, warnings=warnings: warnings.append(record.getMessage())  # type: ignore[method-assign]
        MMLogger.get_current_instance().addHandler(handler)
        for config in CONFIGS:
            metric = METRICS.build(dict(config))
            metric.dataset_meta = {'classes': CLASSES}
            for index in _indices(size, share, dist.get_rank()):
                metric.process(None, [samples[index]])
            results.append((metric.evaluate(size), metric.artifact))
        MMLogger.get_current_instance().removeHandler(handler)
        outcome.append((results, warnings))
    return outcome


@pytest.fixture(scope='module')
def two_ranks() -> list[Any]:
    return run_two_ranks(_evaluate_shares)


@pytest.mark.parametrize('case', range(3), ids=[f'{size} {share}' for size, share in CASES[:3]])
def test_two_ranks_equal_one(case: int, two_ranks: list[Any]) -> None:
    size, share = CASES[case]
    for position, config in enumerate(CONFIGS):
        expected, metric = evaluate(config, segmentation_samples(size), batch=size)
        for rank in two_ranks:
            scalars, artifact = rank[case][0][position]
            if share == 'padded':
                assert scalars == expected
                assert artifact == metric.artifact
            else:  # places in the data set, and with them the jackknife's blocks, are not known here
                kept = {name for name in expected if '_se/' not in name}
                assert {name: scalars[name] for name in kept} == {name: expected[name] for name in kept}


def test_padding_it_cannot_place_is_reported(two_ranks: list[Any]) -> None:
    assert not two_ranks[0][0][1]
    assert any('counted twice' in message for message in two_ranks[0][3][1])


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_empty_set_is_an_error_that_says_where_to_look(config: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match='no sample was evaluated'):
        evaluate(config, [])


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_wholly_ignored_set_has_no_scores(config: dict[str, Any]) -> None:
    samples = segmentation_samples(2)
    for sample in samples:
        sample['gt_sem_seg']['data'] = torch.full_like(sample['gt_sem_seg']['data'], 255)
    scalars, metric = evaluate(config, samples)
    assert not any('road' in name and 'count' not in name for name in scalars)
    assert metric.artifact['counts'] == [0] * 5


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_wrong_label_names_the_image(config: dict[str, Any]) -> None:
    samples = segmentation_samples(2)
    samples[1]['gt_sem_seg']['data'][0, 0, 0] = 9
    with pytest.raises(ValueError, match=r'/data/1.png.*\[9\]'):
        evaluate(config, samples)


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_missing_fields_and_classes_are_named(config: dict[str, Any]) -> None:
    samples = segmentation_samples(1)
    del samples[0]['gt_sem_seg']
    with pytest.raises(KeyError, match='LoadAnnotations'):
        evaluate(config, samples)
    with pytest.raises(ValueError, match='class names'):
        evaluate(config, segmentation_samples(1), classes=())


@pytest.mark.parametrize('config', CONFIGS, ids=lambda config: config['type'])
def test_unknown_argument_is_a_type_error(config: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match='colour'):
        METRICS.build({**config, 'colour': 1})
