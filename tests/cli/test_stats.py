"""imbdense stats."""

import json

import numpy as np
import pytest

from imbdense.cli.main import main
from tests.data.label_files import CLASSES, write_coco, write_label, write_seg_folder
from tests.helpers.shared_data import shared_data_dir

pytest.importorskip('matplotlib')


def test_a_folder_gives_table_files_and_a_warm_cache(tmp_path, capsys):
    root = write_seg_folder(tmp_path / 'data')
    out = tmp_path / 'out'
    assert main(['stats', str(root), '--out', str(out), '--workers', '0']) == 0
    text = capsys.readouterr().out
    for word in (*CLASSES, 'imbalance ratio', 'Gini', 'effective number', 'label shift train -> val', 'inverse'):
        assert word in text
    record = json.loads((out / 'stats.json').read_text())
    assert set(record['splits']) == {'train', 'val'}
    assert record['splits']['train']['counts']['regions']
    assert (out / 'class_shares.png').read_bytes().startswith(b'\x89PNG')
    assert '<html' in (out / 'stats.html').read_text()
    assert main(['stats', str(root), '--split', 'val']) == 0
    text = capsys.readouterr().out
    assert 'read 0 of 2 labels' in text
    assert 'train:' not in text


def test_broken_labels_are_named_and_the_exit_code_is_one(tmp_path, capsys):
    root = write_seg_folder(tmp_path)
    (root / 'labels' / 'train' / '001.png').write_bytes(b'broken')
    assert main(['stats', str(root), '--workers', '0']) == 1
    assert 'train/001.png' in capsys.readouterr().out


def test_a_coco_file(tmp_path, capsys):
    assert main(['stats', str(write_coco(tmp_path / 'annotations' / 'a.json'))]) == 0
    assert 'instances' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [(['nowhere.py'], 'does not exist'), (['data', '--split', 'dev'], "has no split ['dev']")],
)
def test_wrong_use_is_explained(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_seg_folder(tmp_path / 'data')
    assert main(['stats', *arguments]) == 2
    assert words in capsys.readouterr().err


def test_unwritable_output(tmp_path, capsys):
    root = write_seg_folder(tmp_path / 'data')
    (tmp_path / 'file').write_text('')
    assert main(['stats', str(root), '--out', str(tmp_path / 'file'), '--workers', '0']) == 2
    assert 'cannot write' in capsys.readouterr().err


def test_a_foreign_config_is_counted_without_its_model(tmp_path, capsys):
    pytest.importorskip('mmdet')
    root = shared_data_dir('hit_uav')
    config = tmp_path / 'foreign.py'
    config.write_text(
        "default_scope = 'mmdet'\n"
        "model = dict(type='NoSuchDetector')\n"
        "names = ('Person', 'Car', 'Bicycle', 'OtherVehicle')\n"
        "def_ = dict(type='CocoDataset', metainfo=dict(classes=names), pipeline=[dict(type='LoadImageFromFile')],\n"
        f"            data_root={str(root)!r}, ann_file='annotations/train.json',\n"
        "            data_prefix=dict(img='images/train'))\n"
        "train_dataloader = dict(batch_size=1, dataset=dict(type='RepeatDataset', times=3, dataset=def_))\n"
    )
    assert main(['stats', str(config), '--out', str(tmp_path / 'out')]) == 0
    record = json.loads((tmp_path / 'out' / 'stats.json').read_text())
    assert record['splits']['train']['counts']['instances'] == [504, 572, 254, 76]


def test_a_segmentation_config(tmp_path, capsys):
    pytest.importorskip('mmseg')
    root = write_seg_folder(tmp_path / 'data')
    write_label(root / 'labels' / 'train' / '003.png', np.zeros((40, 56), np.uint8))
    config = tmp_path / 'seg.py'
    part = (
        "dict(type='imbdense.SegFolderDataset', metainfo=dict(classes={classes!r}), data_root={root!r}, "
        "data_prefix=dict(img_path='images/{split}', seg_map_path='labels/{split}'))"
    )
    lines = ["default_scope = 'mmseg'"]
    for split in ('train', 'val'):
        lines.append(f'{split}_dataloader = dict(dataset={part.format(classes=CLASSES, root=str(root), split=split)})')
    config.write_text('\n'.join(lines))
    assert main(['stats', str(config), '--workers', '0']) == 0
    assert 'label shift train -> val' in capsys.readouterr().out


def test_a_config_of_ours_is_found_from_any_folder_and_near_names_are_told(tmp_path, monkeypatch, capsys):
    pytest.importorskip('mmengine')
    monkeypatch.chdir(tmp_path)
    assert main(['stats', 'point_cloud/sparse_unet_ign_lidar_hd_ce.py']) == 2  # its data are not here
    assert 'Expected layout of ign_lidar_hd' in capsys.readouterr().err
    assert main(['stats', 'configs/point_cloud/sparse_unet_ign_lidar_hd_c.py']) == 2
    assert 'Did you mean' in (said := capsys.readouterr().err) and 'sparse_unet_ign_lidar_hd_ce.py' in said
