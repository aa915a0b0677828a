"""Labelled and unlabelled images joined: overlap, statistics of the labelled part, labels that nobody reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.datasets.statistics import class_counts, class_table
from imbdense.mm.prior import build_ledger
from imbdense.mm.views import Views
from imbdense.registry import DATA_SAMPLERS, DATASETS
from tests.mm.datasets.semi_data import CLASSES, labeled_config, save, semi_config, write_semi


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


def test_order_collation_and_records(tmp_path: Path) -> None:
    dataset = DATASETS.build(semi_config(write_semi(tmp_path)))
    assert len(dataset) == 8 and dataset.num_labeled == 3 and dataset.metainfo['classes'] == CLASSES
    batch = pseudo_collate([dataset[7], dataset[0]])
    assert isinstance(batch['inputs'][0], Views) and batch['inputs'][1].shape == (3, 32, 32)
    assert batch['data_samples'][0].img_path.endswith('07.png')
    assert 'seg_map_path' in dataset.get_data_info(0) and 'seg_map_path' not in dataset.get_data_info(5)


def copy_labelled(root: Path) -> None:
    """A labelled image under another name among the unlabelled ones, and another image under a labelled name."""
    shutil.copy(root / 'labeled' / 'images' / '01.png', root / 'unlabeled' / 'again.png')
    save(root / 'unlabeled' / '02.png', np.zeros((40, 40, 3), np.uint8))


def test_overlap_is_dropped(tmp_path: Path) -> None:
    copy_labelled(write_semi(tmp_path))
    dataset = DATASETS.build(semi_config(tmp_path))
    assert len(dataset) == 3 + 6
    assert len(dataset.overlap.same) == 1 and dataset.overlap.same_name == ('02.png',)
    files = [Path(dataset.get_data_info(i)['img_path']).name for i in range(3, 9)]
    assert files == ['02.png', '03.png', '04.png', '05.png', '06.png', '07.png']
    assert dataset[8]['data_samples'].img_path.endswith('07.png')


def test_overlap_is_kept_or_refused_when_asked(tmp_path: Path) -> None:
    copy_labelled(write_semi(tmp_path))
    assert len(DATASETS.build(semi_config(tmp_path, overlap='warn'))) == 3 + 7
    with pytest.raises(ValueError, match=r'again\.png = .*01\.png'):
        DATASETS.build(semi_config(tmp_path, overlap='error'))


def test_the_same_folder_twice_leaves_nothing(tmp_path: Path) -> None:
    write_semi(tmp_path)
    both = dict(type='imbdense.SemiDataset', labeled=labeled_config(tmp_path), unlabeled=labeled_config(tmp_path))
    with pytest.raises(ValueError, match='No unlabelled image is left'):
        DATASETS.build(both)


def test_statistics_are_those_of_the_labelled_part(tmp_path: Path) -> None:
    dataset = DATASETS.build(semi_config(write_semi(tmp_path)))
    alone = DATASETS.build(labeled_config(tmp_path))
    assert np.array_equal(class_counts(dataset).pixels, class_counts(alone).pixels)
    table = class_table(dataset)
    assert len(table) == 8 and table.classes_of(0).size and not table.classes_of(5).size
    assert dataset_classes(dataset) == CLASSES and list(leaves(dataset)) == [dataset.labeled]
    sampler = DATA_SAMPLERS.build(
        dict(type='imbdense.TwoStreamSampler', batch_size=4, seed=0), default_args=dict(dataset=dataset)
    )
    ledger, unknown = build_ledger(class_counts(dataset), table, dataset, sampler)
    assert np.allclose(ledger.seen_prior, class_counts(alone).pixels / class_counts(alone).pixels.sum())
    assert not unknown


def test_labels_of_an_unlabelled_data_set_are_never_opened(tmp_path: Path) -> None:
    """The unlabelled part is a data set with labels that are garbage: statistics and samples do not see them."""
    write_semi(tmp_path)
    write_semi(tmp_path / 'more', labeled=4, unlabeled=0)
    for path in (tmp_path / 'more' / 'labeled' / 'images').iterdir():
        image = np.full((40, 40, 3), 17 + int(path.stem), np.uint8)
        save(path, image)
        (tmp_path / 'more' / 'labeled' / 'labels' / path.name).write_text('garbage')
    config = semi_config(tmp_path)
    views = config['unlabeled']['pipeline']
    config['unlabeled'] = {**labeled_config(tmp_path / 'more'), 'pipeline': views}
    dataset = DATASETS.build(config)
    assert len(class_table(dataset)) == 7 and dataset[4]['inputs'].views['unsup_weak'].shape == (3, 32, 32)


def test_left_out_images_are_replaced_by_the_next(tmp_path: Path) -> None:
    """Five unlabelled images 03 ... 07: the last ones are followed by the first; length and other indices stay."""
    dataset = DATASETS.build(semi_config(write_semi(tmp_path)))
    names = [dataset.get_data_info(index)['img_path'] for index in range(3, 8)]

    def shown() -> list[str]:
        return [Path(dataset[index]['data_samples'].img_path).stem for index in range(8)]

    dataset.leave_out([names[1], names[2], names[4]])
    assert shown() == ['00', '01', '02', '03', '06', '06', '06', '03'] and len(dataset) == 8
    dataset.leave_out([names[0]])
    assert shown() == ['00', '01', '02', '04', '04', '05', '06', '07']
    dataset.leave_out([])
    assert shown() == [f'{number:02d}' for number in range(8)]
    with pytest.raises(ValueError, match='all 5 unlabelled images'):
        dataset.leave_out(names)
