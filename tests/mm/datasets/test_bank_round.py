"""A round of an instance bank from the annotations of mmseg and mmdet data sets, and `imbdense generate bank`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from imbdense.cli.main import main
from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.bank_round import fill_round, round_identity
from imbdense.registry import DATASETS
from tests.integration.tiny_data import write_detection, write_segmentation

CLASSES = ('a', 'b', 'c', 'd')
CAP = ['--capacity', '5', '--min-area', '4']


def seg_config(root: Path, count: int = 4, **options) -> dict:
    write_segmentation(root, 4, count=count)
    return {
        'type': 'imbdense.SegFolderDataset', 'data_root': str(root), 'metainfo': {'classes': CLASSES},
        'data_prefix': {'img_path': 'images/train', 'seg_map_path': 'labels/train'},
        'pipeline': [
            {'type': 'LoadImageFromFile'}, {'type': 'imbdense.LoadSegMask'}, {'type': 'RandomFlip', 'prob': 1.0},
        ], **options,
    }  # fmt: skip


def det_config(root: Path, segmentation=None) -> dict:
    write_detection(root, CLASSES[:3])
    if segmentation is not None:
        path = root / 'annotations' / 'train.json'
        record = json.loads(path.read_text())
        for annotation in record['annotations']:
            annotation['segmentation'] = segmentation(*annotation['bbox'])
        record['annotations'][0]['iscrowd'] = 1
        path.write_text(json.dumps(record))
    return {
        'type': 'imbdense.AnyCocoDataset', 'data_root': str(root), 'ann_file': 'annotations/train.json',
        'data_prefix': {'img': 'images/train'}, 'metainfo': {'classes': CLASSES[:3]},
        'pipeline': [
            {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations', 'with_bbox': True},
            {'type': 'Resize', 'scale': (33, 33)},
        ],
    }  # fmt: skip


def make(folder: Path, dataset, **options) -> InstanceBank:
    bank = InstanceBank.create(folder, dataset.metainfo['classes'])
    writer = bank.start_round(round_identity(dataset, None, 4, 0))
    fill_round(dataset, writer, min_area=4, **options)
    writer.finish()
    return bank.reopened()


def test_label_maps(tmp_path):
    pytest.importorskip('mmseg')
    init_default_scope('mmseg')
    dataset = DATASETS.build(seg_config(tmp_path / 'data'))
    bank = make(tmp_path / 'bank', dataset)
    assert bank.counts[3] == 4 and bank.counts.sum() > 10 and bank.rounds == [0]
    for number in range(len(bank)):
        item = bank[number]
        top, left = item.window
        height, width = item.mask.shape
        image = cv2.imread(str(tmp_path / 'data' / 'images' / 'train' / item.image))
        label = cv2.imread(str(tmp_path / 'data' / 'labels' / 'train' / item.image), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(item.values, image[top : top + height, left : left + width]), 'not flipped, BGR as loaded'
        assert (label[top : top + height, left : left + width][item.mask] == item.klass).all()
    assert all(label != 255 for label in bank.klass)


def test_instances_with_and_without_masks(tmp_path):
    pytest.importorskip('mmdet')
    init_default_scope('mmdet')
    bank = make(tmp_path / 'boxes', DATASETS.build(det_config(tmp_path / 'plain')))
    assert bank.counts.tolist() == [4, 4, 4] and all(bank[number].mask is None for number in range(12))
    assert bank[0].values.shape[2] == 3 and bank[0].box[2] - bank[0].box[0] == 20, 'before the resize'

    def half(x, y, width, height):
        return [[x, y, x + width, y, x + width, y + height / 2, x, y + height / 2]]

    bank = make(tmp_path / 'masks', DATASETS.build(det_config(tmp_path / 'masked', half)))
    assert bank.counts.tolist() == [3, 4, 4], 'the crowd object is left out'
    assert {int(bank[number].mask.sum()) for number in range(11)} == {200}
    assert {bank[number].box[3] - bank[number].box[1] for number in range(11)} == {10.0}


def test_two_shares_and_wrappers_give_the_same_bank(tmp_path):
    pytest.importorskip('mmseg')
    init_default_scope('mmseg')
    config = seg_config(tmp_path / 'data', count=40)
    dataset = DATASETS.build(config)
    whole = make(tmp_path / 'whole', dataset)
    bank = InstanceBank.create(tmp_path / 'shared', CLASSES)
    writer, seen = bank.start_round({}), []
    for rank in (1, 0):
        fill_round(dataset, writer, min_area=4, ranks=(rank, 2), progress=lambda *done: seen.append(done))
    assert seen == [(16, 16), (16, 24), (24, 24)]
    writer.finish()
    assert bank.reopened().checksum == whole.checksum
    repeated = DATASETS.build({'type': 'RepeatDataset', 'times': 3, 'dataset': config})
    assert make(tmp_path / 'repeated', repeated).checksum == whole.checksum
    joined = DATASETS.build({'type': 'ConcatDataset', 'datasets': [config, config]})
    assert make(tmp_path / 'joined', joined).checksum == whole.checksum


def config_file(root: Path, dataset: dict, scope: str) -> Path:
    path = root / 'config.py'
    path.write_text(f"default_scope = '{scope}'\ntrain_dataloader = dict(dataset={dataset!r})\n")
    return path


def test_verb(tmp_path, capsys, monkeypatch):
    pytest.importorskip('mmseg')
    config = config_file(tmp_path, seg_config(tmp_path / 'data', count=40), 'mmseg')
    from imbdense.mm.datasets import bank_round

    original, calls = bank_round.annotated_objects, []

    def interrupted(dataset, index, *rest):
        calls.append(index)
        if index == 20 and len(calls) < 25:
            raise KeyboardInterrupt
        return original(dataset, index, *rest)

    monkeypatch.setattr(bank_round, 'annotated_objects', interrupted)
    command = ['generate', 'bank', str(config), '--out', str(tmp_path / 'bank'), *CAP]
    assert main(command) == 130
    assert 'go on' in capsys.readouterr().err and len(InstanceBank.open(tmp_path / 'bank')) == 0
    calls.extend(range(30))
    before = len(calls)
    assert main(command) == 0
    assert calls[before:] == list(range(16, 40)), 'the first shard is not made again'
    printed = capsys.readouterr().out
    assert 'd        5' in printed and 'checksum' in printed
    bank = InstanceBank.open(tmp_path / 'bank')
    assert bank.counts.max() == 5
    assert main(command) == 0 and 'complete already' in capsys.readouterr().out
    assert main([*command[:5], '--capacity', '6']) == 2
    assert 'capacity_per_class (5 there, 6 now)' in capsys.readouterr().err
    assert main([*command, '--min-area', '9']) == 2 and len(bank) == len(bank.reopened())
    assert 'made from something else: min_area (4 there, 9 now)' in capsys.readouterr().err


def test_wrong_use_is_one_message_and_exit_code_2(tmp_path, capsys):
    pytest.importorskip('mmseg')
    config = config_file(tmp_path, seg_config(tmp_path / 'data'), 'mmseg')
    out = ['--out', str(tmp_path / 'bank')]
    misspelt = tmp_path / 'misspelt.py'
    misspelt.write_text(config.read_text().replace('LoadImageFromFile', 'LoadImageFromFlie'))
    for arguments, words in (
        ([str(misspelt), *out], "type='LoadImageFromFlie' is not a known transform"),
        ([str(config), *out, '--classes', 'x'], "no class ['x']"),
        ([str(config), *out, '--split', 'val'], 'no val_dataloader'),
        ([str(tmp_path / 'no.py'), *out], 'no.py'),
        ([str(config), *out, '--capacity', '0'], 'capacity_per_class'),
        ([str(config), '--out', str(tmp_path / 'data')], 'holds no instance bank'),
    ):
        assert main(['generate', 'bank', *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error and 'Traceback' not in error
    assert not (tmp_path / 'bank').exists()
    (tmp_path / 'data' / 'images' / 'train' / '001.png').write_bytes(b'no image')
    assert main(['generate', 'bank', str(config), *out]) == 2
    assert '001.png' in capsys.readouterr().err
