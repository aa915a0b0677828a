"""A bank made of a semi-supervised data set holds the labelled objects alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmengine.registry import init_default_scope

from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.bank_round import fill_round, round_identity
from imbdense.registry import DATASETS
from tests.mm.hooks.redb_run import config


def test_annotations_of_unlabelled_images_are_not_read(tmp_path: Path) -> None:
    """Six images with three annotated objects each; two of them are the labelled part."""
    init_default_scope('mmdet')
    dataset = DATASETS.build(config(tmp_path / 'data', tmp_path / 'run').train_dataloader.dataset)
    assert len(dataset) == 6
    bank = InstanceBank.create(tmp_path / 'bank', dataset.metainfo['classes'])
    identity = round_identity(dataset, None, 4, 0)
    writer = bank.start_round(identity)
    fill_round(dataset, writer, min_area=4)
    writer.finish()
    bank = bank.reopened()
    assert identity['images'] == 2
    assert {bank[number].image for number in range(len(bank))} == {'000.png', '001.png'}
    assert bank.counts.tolist() == [2, 2, 2]
