"""Every registered metric: no dependence on batches or ranks; an absent class is left out, not zero."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.conformance.walk import META, build, coco_file, evaluate, members, metric_samples
from tests.helpers.two_ranks import run_two_ranks

METRICS = members('metric')
each = pytest.mark.parametrize('cls', METRICS.values(), ids=METRICS.keys())


@each
def test_batch_split_does_not_matter(cls: type, tmp_path: Path) -> None:
    samples = metric_samples(cls, tmp_path)
    values = [evaluate(build(cls, tmp_path), samples, batch_size) for batch_size in (1, 3, 8)]
    assert values[0] and values[0] == values[1] == values[2]


@each
def test_evaluating_twice_gives_the_same(cls: type, tmp_path: Path) -> None:
    metric, samples = build(cls, tmp_path), metric_samples(cls, tmp_path)
    assert evaluate(metric, samples, 2) == evaluate(metric, samples, 2)


@each
def test_absent_class_is_left_out_of_the_result(cls: type, tmp_path: Path) -> None:
    """Nothing holds a mast: no number for it, and no NaN that would break a logger or a mean."""
    metric = build(cls, tmp_path)
    values = evaluate(metric, metric_samples(cls, tmp_path), 8)
    assert all(isinstance(value, (int, float)) and not math.isnan(value) for value in values.values())
    named = [key for key in values if key.endswith('/mast')]
    assert not [key for key in named if not (key.startswith('prevalence/') and values[key] == 0)]  # a fact, no score
    assert any(key.endswith('/car') for key in values)


@each
def test_artefact_is_valid_json_and_says_what_it_is(cls: type, tmp_path: Path) -> None:
    metric = build(cls, tmp_path)
    evaluate(metric, metric_samples(cls, tmp_path), 8)
    record = json.loads(json.dumps(metric.artifact, allow_nan=False))
    assert record['kind'] and len(record['classes']) == 5


def _evaluate_on_rank(folder: str) -> dict[str, dict[str, float]]:
    """Every metric on every second sample."""
    import torch.distributed as dist

    found = {}
    for name, cls in members('metric').items():
        samples = metric_samples(cls, Path(folder))
        metric = build(cls, Path(folder))
        metric.dataset_meta = META
        for sample in samples[dist.get_rank() :: 2]:
            metric.process({}, [sample])
        found[name] = metric.evaluate(len(samples))
    return found


@pytest.fixture(scope='module')
def on_two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, float]]]:
    """The values of all metrics on both ranks; one start of two processes for all."""
    folder = tmp_path_factory.mktemp('ranks')
    coco_file(folder)
    return run_two_ranks(_evaluate_on_rank, str(folder))


@pytest.mark.parametrize('name', METRICS)
def test_two_ranks_equal_one(name: str, on_two_ranks: list[dict[str, dict[str, float]]], tmp_path: Path) -> None:
    single = evaluate(build(METRICS[name], tmp_path), metric_samples(METRICS[name], tmp_path), 4)
    for rank in on_two_ranks:
        assert rank[name] == pytest.approx(single)
