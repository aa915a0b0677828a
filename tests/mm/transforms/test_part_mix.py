"""Parts on terrain: they stand on the ground, do not meet what stands there, and the ledger knows what they add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmcv')

from mmengine.registry import DATASETS

from imbdense.core.points.ground import ground_height
from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.bank_round import fill_round, round_identity
from imbdense.mm.transforms.part_mix import RebalancedPartMix, _meets
from tests.helpers.point_scenes import CLASSES, dataset_config, write_scenes

PREPARE = [dict(type='imbdense.LoadPoints'), dict(type='imbdense.PointHeight', window=20.0)]


@pytest.fixture(scope='module')
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A data set of two scenes, and the bank of its parts."""
    root = tmp_path_factory.mktemp('parts')
    write_scenes(root / 'data')
    dataset = DATASETS.build(dataset_config(root / 'data', pipeline=PREPARE))
    made = InstanceBank.create(root / 'bank', CLASSES, 'points')
    writer = made.start_round(round_identity(dataset, None, 10, 0), number=0)
    fill_round(dataset, writer, min_area=10)
    writer.finish()
    return dataset, root / 'bank'


def test_the_bank_holds_the_instances(bank: tuple[Any, Path]) -> None:
    counts = InstanceBank.open(bank[1]).counts
    assert counts[3] == 10 and counts[4] == 4 and counts[5] == 2  # five cars, two masts, a fence per scene
    assert InstanceBank.open(bank[1]).channels == 3 + 1 + 3  # x, y, z, height, rgb


def test_parts_stand_on_the_ground_and_do_not_meet_what_is_there(bank: tuple[Any, Path]) -> None:
    dataset, folder = bank
    whole = dataset[0]
    np.random.seed(1)
    pasted = RebalancedPartMix(str(folder), classes=[3, 4], quota=3)(whole)
    many = len(whole['points'])
    added = pasted['points'][many:]
    labels, instances = pasted['gt_semantic'][many:], pasted['gt_instance'][many:]
    assert set(labels.tolist()) == {3, 4} and instances.min() > whole['gt_instance'].max()
    assert len(np.unique(instances)) >= 5
    assert {len(pasted[key]) for key in ('points', 'gt_semantic', 'gt_instance')} == {len(pasted['points'])}
    ground = ground_height(whole['points'], cell=1.0, window=20.0)
    standing = whole['points'][whole['points'][:, 2] - ground >= 0.3, :2]
    for number in np.unique(instances):
        part = added[instances == number]
        assert not _meets(part[:, :2], standing)
        lowest = part[part[:, 2].argmin()]
        near = np.square(whole['points'][:, :2] - lowest[:2]).sum(1).argmin()
        assert abs(lowest[2] - ground[near]) < 0.8  # masts begin .2 m, cars 0 m above ground; the terrain slopes


def test_where_no_place_is_free_nothing_is_pasted(bank: tuple[Any, Path]) -> None:
    dataset, folder = bank
    whole = dataset[0]
    roof = {**whole, 'points': np.concatenate([whole['points'], whole['points'] + np.float32([0, 0, 5])])}
    for key in ('gt_semantic', 'gt_instance'):
        roof[key] = np.concatenate([whole[key], whole[key]])
    roof['attributes'] = {
        name: np.concatenate([values, values + (5 if name == 'height' else 0)])
        for name, values in whole['attributes'].items()
    }
    assert len(RebalancedPartMix(str(folder), quota=2)(roof)['points']) == len(roof['points'])


def test_prior_effect_is_that_of_real_pastes(bank: tuple[Any, Path]) -> None:
    from imbdense.core.stats import ImageClassTable
    from imbdense.mm.prior import PriorContext, load_sample

    dataset, folder = bank
    mix = RebalancedPartMix(str(folder), classes=[4], quota=2)
    table = ImageClassTable.from_dense([np.bincount(s['gt_semantic'][s['gt_semantic'] >= 0], minlength=6)
                                        for s in (dataset[0], dataset[1])])  # fmt: skip
    context = PriorContext(table, np.ones(2), None, None, 0, lambda index: load_sample(dataset, index))
    effect = mix.prior_effect(context)
    np.random.seed(3)
    real = np.mean([np.bincount(mix(dataset[i % 2])['gt_semantic'].clip(0), minlength=6) for i in range(60)], axis=0)
    assert effect[4] == pytest.approx(2 * real[4], rel=0.1)
    assert effect[[1, 2, 3, 5]] == pytest.approx(table.totals[[1, 2, 3, 5]])


def test_wrong_use(bank: tuple[Any, Path], tmp_path: Path) -> None:
    dataset, folder = bank
    whole = dataset[0]
    flat = {**whole, 'attributes': {'rgb': whole['attributes']['rgb']}}
    with pytest.raises(KeyError, match='PointHeight'):
        RebalancedPartMix(str(folder))(flat)
    other = {**whole, 'attributes': {'height': whole['attributes']['height']}}
    with pytest.raises(ValueError, match='columns'):
        RebalancedPartMix(str(folder))(other)
    InstanceBank.create(tmp_path / 'images', CLASSES)
    with pytest.raises(ValueError, match='images'):
        RebalancedPartMix(str(tmp_path / 'images'))(whole)
