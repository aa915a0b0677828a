"""Transforms of point clouds with boxes: load, label, paste, scale, move, pack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from mmengine.registry import init_default_scope

from imbdense.core.boxes3d import bev_iou, points_in_any_box, points_in_boxes
from imbdense.data.instance_bank import InstanceBank, cut_points
from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.datasets.bank_round import bank_modality, fill_round, round_identity
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.reproducible import seeded_generators
from imbdense.mm.transforms.bank_paste_3d import BankPaste3d
from imbdense.mm.transforms.bev_augment import BevAugment
from imbdense.mm.transforms.load_kitti_points import LoadBoxes3d, LoadKittiPoints
from imbdense.mm.transforms.pack_point_det_inputs import PackPointDetInputs
from imbdense.mm.transforms.point_frame import point_matrix, set_points
from imbdense.mm.transforms.pseudo_boxes_3d import PseudoBoxes3d
from imbdense.mm.transforms.random_object_scaling import RandomObjectScaling
from imbdense.registry import DATASETS
from tests.helpers.lidar_folder import BOXES, LOAD, dataset, lidar_folder


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Four scenes with boxes."""
    init_default_scope('mmengine')
    return DATASETS.build(dataset(lidar_folder(tmp_path_factory.mktemp('lidar')), [LOAD, BOXES]))


def loaded(data: Any, index: int = 0) -> dict[str, Any]:
    return dict(LoadBoxes3d()(LoadKittiPoints()(data.get_data_info(index))))


@pytest.fixture(scope='module')
def bank(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotated objects, as `imbdense generate bank` makes them."""
    folder = tmp_path_factory.mktemp('bank') / 'bank'
    made = InstanceBank.create(folder, data.metainfo['classes'], bank_modality(data))
    writer = made.start_round(round_identity(data, None, 5, 0), number=0)
    fill_round(data, writer, min_area=5)
    writer.finish()
    return folder


def test_records_and_loading(data: Any) -> None:
    """The ground lies at 0; counts are those of the records."""
    results = loaded(data)
    assert results['points'].dtype == np.float32 and results['attributes']['intensity'].shape == (
        len(results['points']), 1)
    assert np.quantile(results['points'][:, 2], 0.2) == pytest.approx(0, abs=0.1)
    bottom = results['gt_boxes_3d'][:, 2] - results['gt_boxes_3d'][:, 5] / 2
    np.testing.assert_allclose(bottom, 0, atol=1e-3)
    labels = np.concatenate([loaded(data, i)['gt_labels_3d'] for i in range(4)])
    counts = class_counts(data)
    assert counts.of('instances').tolist() == np.bincount(labels, minlength=3).tolist()


def test_names_like_a_class_are_ignored(data: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / 'beams32'
    shutil.copytree(data.data_root, folder)
    file = folder / 'training' / 'label_2' / '000000.txt'
    names = ['Van', 'Person_sitting', 'Truck', 'DontCare']
    lines = file.read_text().splitlines()
    line = lines[0].split(' ', 1)[1]
    file.write_text('\n'.join([lines[0], *(f'{name} {line}' for name in names)]) + '\n')
    info = DATASETS.build(dataset(folder, [])).get_data_info(0)
    assert [(item['bbox_label'], item['ignore_flag']) for item in info['instances'][1:]] == [(0, 1), (1, 1)]
    file.unlink()
    assert DATASETS.build(dataset(folder, [])).get_data_info(0)['instances'] == []


def test_matrix_round_trip(data: Any) -> None:
    results = loaded(data)
    results['attributes']['colour'] = np.random.default_rng(0).random((len(results['points']), 3)).astype(np.float32)
    before = {name: values.copy() for name, values in results['attributes'].items()}
    matrix = point_matrix(results)
    assert matrix.shape[1] == 3 + 3 + 1
    set_points(results, matrix[::2])
    for name, values in before.items():
        np.testing.assert_array_equal(results['attributes'][name], values[::2])


def test_pasted_objects_lie_in_their_boxes_and_replace_the_scene(data: Any, bank: Path) -> None:
    results = loaded(data)
    before = len(results['gt_boxes_3d'])
    with seeded_generators(0, 0):
        BankPaste3d(str(bank), quota=4)(results)
    boxes = torch.from_numpy(results['gt_boxes_3d'])
    assert len(boxes) > before and len(boxes) == len(results['gt_labels_3d']) == len(results['gt_ignored_3d'])
    assert (bev_iou(boxes, boxes).fill_diagonal_(0)[before:] == 0).all()
    counts = points_in_boxes(torch.from_numpy(results['points']), boxes[before:]).sum(dim=1)
    known = InstanceBank.open(bank)
    sizes = {round(float(known[i].box[0]), 3): len(known[i].values) for i in range(len(known))}
    for box, count in zip(boxes[before:], counts.tolist()):
        assert count == pytest.approx(sizes[round(float(box[0]), 3)], abs=1)  # nothing of the scene is left inside


def test_every_class_is_pasted_equally_often(data: Any, bank: Path) -> None:
    """Before collisions: the draws of an epoch differ by less than 10 % between classes (they are equal)."""
    paste = BankPaste3d(str(bank), quota=3)
    drawn = np.zeros(3, int)
    for index in range(20):
        drawn += np.bincount([item.klass for item in paste.drawn(np.random.default_rng(index))], minlength=3)
    assert drawn.tolist() == [60, 60, 60]


def test_ledger_hears_of_the_paste(data: Any, bank: Path) -> None:
    """Four scenes, three objects of every class in each: twelve more of every class."""
    from mmengine.dataset import DefaultSampler

    from imbdense.mm.datasets.statistics import class_table
    from imbdense.mm.prior import build_ledger

    pasting = DATASETS.build({**dataset(Path(data.data_root), [LOAD, BOXES, BankPaste3d(str(bank), quota=3)])})
    counts = class_counts(pasting)
    ledger, unknown = build_ledger(counts, class_table(pasting), pasting, DefaultSampler(pasting))
    after = counts.of('instances') + 12.0
    assert unknown == []
    np.testing.assert_allclose(ledger.seen_prior, after / after.sum())


def test_equal_seeds_paste_equally_and_scaling_stands(data: Any, bank: Path) -> None:
    found = []
    for _ in range(2):
        results = loaded(data, 1)
        with seeded_generators(5, 1):
            BankPaste3d(str(bank), quota=2, scale=[(0.7, 0.8)] * 3)(results)
        found.append(results)
    np.testing.assert_array_equal(found[0]['points'], found[1]['points'])
    extra = found[0]['gt_boxes_3d'][len(loaded(data, 1)['gt_boxes_3d']) :]
    np.testing.assert_allclose(extra[:, 2] - extra[:, 5] / 2, 0, atol=1e-2)
    lengths = extra[found[0]['gt_labels_3d'][-len(extra) :] == 0, 3]
    assert (lengths < 0.85 * 4.7 * 1.16).all()


def test_rounds_quotas_and_banks_of_images(data: Any, bank: Path, tmp_path: Path) -> None:
    paste = BankPaste3d(str(bank), quota=0)
    results = loaded(data)
    same = paste(dict(results))
    assert np.array_equal(same['points'], results['points'])
    paste.set_round(0, 2)
    assert paste.quota == 2 and len(paste.bank) > 0
    InstanceBank.create(tmp_path / 'images', ('a',), 'image')
    with pytest.raises(ValueError, match='images only'):
        BankPaste3d(str(tmp_path / 'images'))(loaded(data))
    with pytest.raises(ValueError, match='no gt_boxes_3d'):
        paste(LoadKittiPoints()(data.get_data_info(0)))
    other = loaded(data)
    other['attributes'] = {}
    with pytest.raises(ValueError, match='numbers per point'), seeded_generators(0, 0):
        paste(other)
    unknown = {**loaded(data), 'labelled': False}
    assert len(paste(unknown)['gt_boxes_3d']) == len(results['gt_boxes_3d'])


def test_pseudo_boxes(data: Any) -> None:
    info = data.get_data_info(0)
    transform = PseudoBoxes3d()
    none = transform(LoadKittiPoints()(dict(info)))
    assert none['labelled'] is False and none['gt_boxes_3d'].shape == (0, 7)
    boxes = np.array([[5, 0, 1, 4, 2, 2, 0], [9, 0, 1, 4, 2, 2, 0]], np.float32)
    labels = PseudoBoxes('a', None, boxes, np.array([0, 2]), np.array([0.9, 0.3], np.float32), np.array([False, True]))
    transform.set_labels({info['points_path']: labels})
    packed = PackPointDetInputs()(transform(LoadKittiPoints()(dict(info))))
    sample = packed['data_samples']
    assert sample.labelled and sample.pseudo and sample.gt_instances_3d.labels.tolist() == [0]
    assert sample.ignored_instances_3d.boxes[0].tolist() == boxes[1].tolist()
    assert packed['inputs']['features'].shape == (len(packed['inputs']['points']), 1)
    with pytest.raises(ValueError, match="no \\['rgb'\\]"):
        PackPointDetInputs(['rgb'])(loaded(data))


def test_scaling_and_moving_keep_points_in_their_boxes(data: Any) -> None:
    results = loaded(data)
    counts = points_in_boxes(torch.from_numpy(results['points']), torch.from_numpy(results['gt_boxes_3d'])).sum(dim=1)
    with seeded_generators(3, 0):
        RandomObjectScaling([(0.8, 0.9), (1.0, 1.1), (1.0, 1.0)])(results)
        BevAugment()(results)
    after = points_in_boxes(torch.from_numpy(results['points']), torch.from_numpy(results['gt_boxes_3d'])).sum(dim=1)
    assert (after - counts).abs().max() <= 3  # rounding at a surface
    with pytest.raises(ValueError, match='no range'):
        RandomObjectScaling([(1, 1)])({**loaded(data), 'gt_labels_3d': np.full(len(loaded(data)['gt_labels_3d']), 2)})
    for ranges in ([(1.1, 0.9)], [(0, 1)], [1.0, 2.0]):
        with pytest.raises(ValueError, match='per class'):
            RandomObjectScaling(ranges)  # type: ignore[arg-type]


def test_bank_holds_what_the_boxes_hold(data: Any, bank: Path) -> None:
    known, expected = InstanceBank.open(bank), 0
    for index in range(4):
        results = loaded(data, index)
        cut = list(cut_points(point_matrix(results).numpy(), 'a', results['gt_boxes_3d'], results['gt_labels_3d'],
                              min_points=5))  # fmt: skip
        expected += len(cut)
    assert known.modality == 'points' and len(known) == expected
    for item in (known[number] for number in range(len(known))):
        inside = points_in_any_box(torch.from_numpy(np.array(item.values)), torch.tensor([item.box]))
        assert inside.float().mean() > 0.95
