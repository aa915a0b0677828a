"""imbdense check."""

import json
import shutil

import numpy as np
import pytest

from imbdense.cli.main import main
from tests.data.label_files import CLASSES, write_label, write_seg_folder


@pytest.fixture
def root(tmp_path):
    """A clean data set."""
    return write_seg_folder(tmp_path / 'data')


def test_clean_is_zero(root, capsys):
    assert main(['check', str(root), '--workers', '0']) == 0
    assert 'no faults found' in capsys.readouterr().out


def test_errors_are_one_and_name_the_file(root, capsys, tmp_path):
    for number in range(4):
        write_label(root / 'labels' / 'train' / f'{number:03d}.png', np.full((40, 56), 50 + number, np.uint8))
    report = tmp_path / 'findings.json'
    assert main(['check', str(root), '--max', '2', '--json', str(report), '--workers', '0']) == 1
    text = capsys.readouterr().out
    assert 'labels/train/000.png (train)' in text
    assert '... and 2 more of this kind' in text
    record = json.loads(report.read_text())
    assert record['failed'] is True
    assert len([f for f in record['findings'] if f['code'] == 'values']) == 4


def test_warnings_are_zero_unless_strict(root, capsys):
    shutil.copy(root / 'images/train/002.png', root / 'images/train/003.png')
    assert main(['check', str(root), '--workers', '0']) == 0
    assert '1 warnings' in capsys.readouterr().out
    assert main(['check', str(root), '--strict', '--workers', '0']) == 1


def test_json_to_standard_output_is_pure(root, capsys):
    assert main(['check', str(root), '--json', '-', '--workers', '0']) == 0
    assert json.loads(capsys.readouterr().out) == {'failed': False, 'findings': []}


def test_a_folder_that_is_none_is_two(tmp_path, capsys):
    assert main(['check', str(tmp_path / 'none')]) == 2
    assert 'does not exist' in capsys.readouterr().err


def test_configs_of_both_hosts(tmp_path, root, capsys):
    pytest.importorskip('mmseg')
    config = tmp_path / 'host.py'
    config.write_text(
        "default_scope = 'mmseg'\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', img_suffix='.png', reduce_zero_label=True,\n"
        f'    metainfo=dict(classes={CLASSES!r}), data_root={str(root)!r},\n'
        "    data_prefix=dict(img_path='images/train', seg_map_path='labels/train')))\n"
    )
    assert main(['check', str(config), '--workers', '0']) == 1
    assert 'Set reduce_zero_label=False' in capsys.readouterr().out
    config.write_text("default_scope = 'mmseg'\nval_dataloader = None\n")
    assert main(['check', str(config), '--split', 'val']) == 2
    assert 'has no val_dataloader' in capsys.readouterr().err


def test_a_wrong_data_root_is_explained(tmp_path, capsys):
    pytest.importorskip('mmdet')
    config = tmp_path / 'det.py'
    config.write_text(
        "default_scope = 'mmdet'\n"
        "train_dataloader = dict(dataset=dict(type='CocoDataset', ann_file='none.json', data_root='/nowhere'))\n"
    )
    assert main(['check', str(config)]) == 2
    error = capsys.readouterr().err
    assert 'none.json' in error
    assert "data_root='/nowhere'" in error
