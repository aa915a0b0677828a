"""Subsets of real host data sets, chosen by their labels: what is drawn, counted and followed through wrappers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.mm.datasets.statistics import class_counts, class_table
from imbdense.mm.prior import load_label
from imbdense.registry import DATASETS
from tests.data.label_files import write_image, write_label

CLASSES = ('ground', 'roof', 'tree', 'mast')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Forty images: ground everywhere, each other class alone in a quarter of them, ten images with ground only."""
    root = tmp_path_factory.mktemp('subset')
    for index in range(40):
        label = np.zeros((8, 8), np.uint8)
        label[:2, :2] = index % 4
        write_label(root / 'labels' / f'{index:02}.png', label)
        write_image(root / 'images' / f'{index:02}.png', label.shape)
    return {
        'type': 'imbdense.SegFolderDataset', 'data_root': str(root), 'metainfo': {'classes': CLASSES},
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'labels'},
        'pipeline': [{'type': 'imbdense.LoadSegMask'}],
    }  # fmt: skip


def build(config, **options):
    return DATASETS.build({'type': 'imbdense.ImbalancedSubsetDataset', 'dataset': config, **options})


def test_step_imbalance_of_the_objects(config):
    part = build(config, kind='step', rho=5, mu=0.34, classes=['roof', 'tree', 'mast'], tol=0)
    assert class_counts(part).pixels[1:].tolist() == [40, 40, 8]
    assert len(part) == 32 and part.indices == sorted(part.indices)
    assert (class_table(part).totals == part.subset.counts).all()


def test_items_are_those_of_the_images_that_are_left(config):
    part = build(config, kind='exp', rho=10, classes=['mast', 'roof', 'tree'])
    for index in range(len(part)):
        inner = part.indices[index]
        assert part.get_data_info(index)['img_path'].endswith(f'{inner:02}.png')
        assert np.array_equal(load_label(part, index), load_label(part.dataset, inner))
        assert np.array_equal(part[index]['gt_seg_map'], part.dataset[inner]['gt_seg_map'])


def test_balanced_and_logged(config, monkeypatch):
    log: list[str] = []
    place = 'imbdense.mm.datasets.imbalanced_subset_dataset.print_log'
    monkeypatch.setattr(place, lambda text, logger: log.append(text))
    part = build(config, kind='balanced', num_images=12, classes=['roof', 'tree', 'mast'])
    assert part.subset.counts[1:].tolist() == [16, 16, 16]
    assert 'roof 16/16, tree 16/16, mast 16/16' in log[0]


def test_shares_of_images(config):
    part = build(config, kind='shares', shares={'roof': 0.5, 'mast': 0.25, 'tree': 0.25})
    assert part.subset.counts[1:].tolist() == [10, 5, 5] and len(part) == 30, 'the ten with ground only stay'
    with pytest.raises(ValueError, match="shares must be given for kind='shares'"):
        build(config, kind='shares')
    with pytest.raises(ValueError, match="shares must be given for kind='shares'"):
        build(config, kind='step', shares={'roof': 1})
    with pytest.raises(ValueError, match="no class 'car'"):
        build(config, kind='shares', shares={'roof': 1, 'car': 1})


def test_it_can_be_wrapped_and_is_the_same_each_time(config):
    from mmengine.dataset import ConcatDataset

    options = {'kind': 'linear', 'rho': 4, 'seed': 3, 'classes': ['tree', 'mast', 'roof']}
    one, two = build(config, **options), build(config, lazy_init=True, **options)
    assert one.indices == two.indices
    part = {'type': 'imbdense.ImbalancedSubsetDataset', 'dataset': config, **options}
    joined = ConcatDataset([part, part])
    assert len(joined) == 2 * len(one)
    assert (class_counts(joined).pixels == 2 * one.subset.counts).all()


def test_a_sampler_draws_from_it(config):
    from imbdense.registry import DATA_SAMPLERS

    part = build(config, kind='step', rho=10, mu=0.34, classes=['roof', 'tree', 'mast'])
    sampler = DATA_SAMPLERS.build({'type': 'imbdense.BalancedImageSampler', 'seed': 0}, default_args={'dataset': part})
    assert max(sampler) < len(part) and len(sampler) > len(part)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'kind': 'stairs'}, 'kind must be one of'),
        ({'kind': 'balanced'}, 'num_images must be given'),
        ({'kind': 'step', 'num_images': 3}, 'and for no other'),
        ({'classes': ['roof', 'ship']}, "no class 'ship'"),
        ({'rho': 0.1}, 'rho'),
    ],
)
def test_wrong_arguments_are_named(config, options, words):
    with pytest.raises(ValueError, match=words):
        build(config, **options)
