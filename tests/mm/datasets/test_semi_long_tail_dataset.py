"""Labelled and pseudo-labelled images joined: counts, order, ratio, and everything that is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from imbdense.data.pseudo import SidecarError
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.statistics import class_counts, class_table
from imbdense.mm.prior import build_ledger
from imbdense.registry import DATA_SAMPLERS, DATASETS
from tests.data.pseudo.label_folders import write_label_folder
from tests.mm.datasets.semi_data import CLASSES, labeled_config, write_semi

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='imbdense.LoadPixelWeight'),
            dict(type='RandomCrop', crop_size=(32, 32)), dict(type='imbdense.PackSegInputsWithWeight')]


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three labelled images and five others; of each the upper half is pseudo-labelled ground, ten pixels are mast."""
    write_semi(tmp_path)
    label = np.full((40, 40), 255, np.uint8)
    label[:20], label[30, :10] = 0, 3
    images = sorted((tmp_path / 'unlabeled').iterdir())
    write_label_folder(tmp_path / 'pseudo', images, [label] * len(images), CLASSES, confidence=51)
    return tmp_path


def config(root: Path, **options: Any) -> dict[str, Any]:
    """The wrapper around both folders."""
    unlabeled = dict(type='imbdense.UnlabeledSegDataset', data_root=str(root), data_prefix=dict(img_path='unlabeled'),
                     pipeline=PIPELINE)
    return dict(type='imbdense.SemiLongTailDataset', labeled=labeled_config(root), unlabeled=unlabeled,
                pseudo_dir=str(root / 'pseudo'), **options)  # fmt: skip


def test_order_labels_and_records(root: Path) -> None:
    dataset = DATASETS.build(config(root))
    assert len(dataset) == 8 and dataset.num_labeled == 3 and dataset.metainfo['classes'] == CLASSES
    assert list(leaves(dataset)) == [dataset.labeled], 'what is labelled by hand'
    record = dataset.get_data_info(4)
    assert record['img_path'].endswith('04.png') and record['seg_map_path'].endswith('pseudo/labels/04.png')
    assert 'pixel_weight' not in record and 'confidence_path' not in record
    sample = dataset[4]['data_samples']
    assert set(sample.gt_sem_seg.data.unique().tolist()) <= {0, 3, 255} and 'seg_weight' not in sample
    assert 'labeled/labels' in dataset.get_data_info(0)['seg_map_path']


def test_weights_travel_with_the_pseudo_labelled_images_only(root: Path) -> None:
    dataset = DATASETS.build(config(root, weight_unlabeled=0.5, confidence_weight=True))
    assert np.allclose(dataset[5]['data_samples'].seg_weight.data, 0.5 * 51 / 255)
    assert 'seg_weight' not in dataset[0]['data_samples']
    constant = DATASETS.build(config(root, weight_unlabeled=0.25))
    assert (constant[5]['data_samples'].seg_weight.data == 0.25).all()


def test_counts_are_merged_or_those_of_the_labels(root: Path) -> None:
    """Five images with 800 pixels of ground and ten of mast each."""
    labelled = class_counts(DATASETS.build(labeled_config(root))).pixels
    merged = DATASETS.build(config(root))
    assert class_counts(merged).pixels.tolist() == (labelled + np.array([4000, 0, 0, 50])).tolist()
    table = class_table(merged)
    assert len(table) == 8 and table.classes_of(5).tolist() == [0, 3]
    alone = DATASETS.build(config(root, counts='labelled'))
    assert class_counts(alone).pixels.tolist() == labelled.tolist()
    assert len(class_table(alone)) == 8 and not class_table(alone).classes_of(5).size


def test_two_streams_and_the_prior_they_leave(root: Path) -> None:
    """Half of each batch is labelled; the ledger knows how much of each class that makes."""
    dataset = DATASETS.build(config(root))
    sampler = DATA_SAMPLERS.build(dict(type='imbdense.TwoStreamSampler', batch_size=4, ratio=(1, 1), seed=0),
                                  default_args=dict(dataset=dataset))
    batches = np.array(list(sampler)).reshape(-1, 4)
    assert (batches[:, :2] < 3).all() and (batches[:, 2:] >= 3).all()
    ledger, unknown = build_ledger(class_counts(dataset), class_table(dataset), dataset, sampler)
    table = class_table(dataset)
    labelled, pseudo = table.subset(range(3)).totals / 3, table.subset(range(3, 8)).totals / 5
    assert not unknown and np.allclose(ledger.seen_prior, (labelled + pseudo) / (labelled + pseudo).sum())


def test_rare_class_crop_finds_pseudo_labels(root: Path) -> None:
    wanted = config(root)
    wanted['unlabeled']['pipeline'] = [*PIPELINE[:3], dict(type='imbdense.RareClassCrop', crop_size=(8, 8), rate=1.0,
                                                            classes=[3]), PIPELINE[-1]]  # fmt: skip
    dataset = DATASETS.build(wanted)
    assert all((dataset[3 + place]['data_samples'].gt_sem_seg.data == 3).any() for place in range(5))


def test_images_that_are_labelled_or_validate_are_left_out(root: Path) -> None:
    """One unlabelled image is a copy of a labelled one; another is in the validation set under another name."""
    shutil.copy(root / 'labeled' / 'images' / '01.png', root / 'unlabeled' / '03.png')
    (root / 'val').mkdir()
    shutil.copy(root / 'unlabeled' / '05.png', root / 'val' / 'other_name.png')
    validation = dict(type='imbdense.UnlabeledSegDataset', data_prefix=dict(img_path=str(root / 'val')))
    dataset = DATASETS.build(config(root, held_out=validation))
    files = [Path(dataset.get_data_info(i)['img_path']).name for i in range(3, len(dataset))]
    assert files == ['04.png', '06.png', '07.png']
    for index, name in zip(range(3, 6), files):
        assert Path(dataset.get_data_info(index)['seg_map_path']).name == name
    shutil.copy(root / 'unlabeled' / '04.png', root / 'unlabeled' / '03.png')
    with pytest.raises(ValueError, match=r'held out[^:]*:\n.*05\.png = .*other_name\.png'):
        DATASETS.build(config(root, held_out=[validation], overlap='error'))


def test_images_the_round_left_out_are_left_out(root: Path) -> None:
    report = json.loads((root / 'pseudo' / 'pseudo_report.json').read_text())
    report['files']['06.png'][0] = None
    (root / 'pseudo' / 'pseudo_report.json').write_text(json.dumps(report))
    assert len(DATASETS.build(config(root))) == 7
    report['files'] = {name: [None, size] for name, (_, size) in report['files'].items()}
    (root / 'pseudo' / 'pseudo_report.json').write_text(json.dumps(report))
    with pytest.raises(ValueError, match='no pseudo-labelled image is left of 5'):
        DATASETS.build(config(root))


def test_missing_files_and_foreign_images_are_named(root: Path) -> None:
    (root / 'pseudo' / 'confidence' / '06.png').unlink()
    assert len(DATASETS.build(config(root))) == 8, 'confidences are only needed as weights'
    with pytest.raises(ValueError, match=r'1 files of .* are missing, for example .*confidence/06\.png'):
        DATASETS.build(config(root, confidence_weight=True))
    (root / 'pseudo' / 'labels' / '04.png').unlink()
    with pytest.raises(ValueError, match=r'labels/04\.png'):
        DATASETS.build(config(root))
    Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(root / 'unlabeled' / 'new.png')
    with pytest.raises(SidecarError, match=r'knows nothing of the image .*new\.png'):
        DATASETS.build(config(root))


def test_damaged_rounds_and_other_classes_are_refused(root: Path) -> None:
    sidecar = root / 'pseudo' / 'pseudo_sidecar.json'
    whole = sidecar.read_text()
    for content, words in ((whole[:20], 'corrupt'), ('{"format": 1}', "no entry 'task'"),
                           (whole.replace('a1', 'zz'), 'mixes two rounds')):
        sidecar.write_text(content)
        with pytest.raises(SidecarError, match=words):
            DATASETS.build(config(root))
    sidecar.unlink()
    with pytest.raises(SidecarError, match='there is no'):
        DATASETS.build(config(root))
    sidecar.write_text(whole)
    report = root / 'pseudo' / 'pseudo_report.json'
    report.write_text(report.read_text().replace('"mast"', '"pole"'))
    with pytest.raises(ValueError, match=r"'pole'\], but the labelled data set has"):
        DATASETS.build(config(root))


def test_arguments(root: Path) -> None:
    for wrong, words in (({'counts': 'all'}, 'counts'), ({'weight_unlabeled': -1.0}, 'weight_unlabeled')):
        with pytest.raises(ValueError, match=words):
            DATASETS.build(config(root, **wrong))
    nested = config(root)
    nested['unlabeled'] = dict(type='ConcatDataset', datasets=[nested['unlabeled']])
    with pytest.raises(TypeError, match='ConcatDataset has no pipeline'):
        DATASETS.build(nested)
