"""Samplers on the hosts' data sets with real labels, and the host's trap they avoid."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset

from imbdense.mm.datasets.statistics import class_table
from imbdense.registry import DATA_SAMPLERS
from tests.helpers.shared_data import shared_data_dir

NUCLEI = ('background', 'nucleus', 'touching_border')


@pytest.fixture(scope='module')
def nuclei(tmp_path_factory):
    """mmseg's own BaseSegDataset on a copy of the nuclei labels (the scan leaves its cache beside them)."""
    from mmseg.datasets import BaseSegDataset

    source, root = shared_data_dir('dsb2018_nuclei'), tmp_path_factory.mktemp('nuclei')
    shutil.copytree(source / 'labels', root / 'labels')
    shutil.copytree(source / 'images', root / 'images')
    return BaseSegDataset(
        data_root=str(root), data_prefix={'img_path': 'images', 'seg_map_path': 'labels'}, img_suffix='.png',
        metainfo={'classes': NUCLEI, 'palette': [[0, 0, 0], [0, 255, 0], [255, 0, 0]]}, pipeline=[],
    )


@pytest.fixture(scope='module')
def thermal():
    """mmdet's own CocoDataset on the thermal drone images."""
    from mmdet.datasets import CocoDataset

    root = shared_data_dir('hit_uav')
    annotations = sorted(root.rglob('*train*.json'))[0]
    names = tuple(c['name'] for c in json.loads(annotations.read_text())['categories'])
    return CocoDataset(
        ann_file=str(annotations), data_prefix={'img': str(root / 'images' / 'train')}, metainfo={'classes': names},
        pipeline=[],
    )


def build(kind, dataset, **options):
    return DATA_SAMPLERS.build({'type': f'imbdense.{kind}', 'seed': 0, **options}, default_args={'dataset': dataset})


@pytest.mark.parametrize('kind', ['RepeatFactorSampler', 'BalancedClassSampler'])
def test_rare_class_gets_a_larger_share_of_the_pixels(nuclei, kind):
    table = class_table(nuclei)
    sampler = build(kind, nuclei)
    before, after = table.totals / table.totals.sum(), sampler.prior_effect(table)
    after = after / after.sum()
    rarest = int(np.argmin(before))
    assert after[rarest] > before[rarest], 'little is won by images alone: nearly every image holds the class'
    assert len(list(sampler)) == len(sampler) >= len(nuclei)


@pytest.mark.parametrize('kind', ['RepeatFactorSampler', 'BalancedClassSampler'])
def test_rare_class_gets_a_larger_share_of_the_objects(thermal, kind):
    table = class_table(thermal)
    sampler = build(kind, thermal)
    before, after = table.totals / table.totals.sum(), sampler.prior_effect(table)
    after = after / after.sum()
    present = np.flatnonzero(table.totals)
    rarest = int(present[np.argmin(before[present])])
    assert after[rarest] > (1.2 if kind == 'BalancedClassSampler' else 1.0) * before[rarest]


def test_wrapped_data_sets_are_drawn_by_their_own_index(nuclei):
    from mmengine.dataset import ConcatDataset

    sampler = build('BalancedClassSampler', ConcatDataset([nuclei, nuclei]))
    assert len(sampler) == 2 * len(nuclei) and max(sampler) >= len(nuclei)


class HostLike:
    """Just enough for mmengine's ClassBalancedDataset: a class in 98 % of the images' number that t asks for."""

    metainfo = {'classes': ('common', 'slightly rare')}

    def __init__(self):
        self.labels = [[0, 1] if i % 100 < 49 else [0] for i in range(200)]

    def __len__(self):
        return len(self.labels)

    def full_init(self):
        pass

    def get_cat_ids(self, index):
        return self.labels[index]


def test_factor_barely_above_one_does_not_double_an_image():
    """mmengine's ClassBalancedDataset rounds 1.01 up to 2; here one image in a hundred comes once more."""
    dataset = HostLike()
    factor = (0.5 / 0.49) ** 0.5
    from mmengine.registry import DATASETS

    @DATASETS.register_module(force=True)
    class _Inner(HostLike):
        pass

    host = ClassBalancedDataset({'type': '_Inner'}, oversample_thr=0.5)
    host.full_init()
    assert len(host) == 200 + 98, 'the trap: every image with the class comes twice'
    sampler = build('RepeatFactorSampler', dataset, threshold=0.5)
    assert len(sampler) == int(np.ceil(98 * factor + 102)) == 201


def test_segmentation_needs_no_get_cat_ids(nuclei):
    """mmengine's wrapper cannot sample segmentation at all: no mmseg data set has get_cat_ids."""
    with pytest.raises(NotImplementedError):
        nuclei.get_cat_ids(0)
    assert set(build('RepeatFactorSampler', nuclei)) <= set(range(len(nuclei)))
