"""Checks and statistics of pairs, by config and by folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from imbdense.cli.main import main
from imbdense.data.checks import ChangeSplit, check_splits
from imbdense.data.checks.folders import folder_splits
from tests.data.change.pair_files import land_covers, picture, write_array, write_pairs


@pytest.fixture
def root(tmp_path):
    return write_pairs(tmp_path / 'pairs')


def codes(root):
    """(severity, code, file name, split) of all findings but rare ones of tiny random data."""
    splits = folder_splits(root)
    assert all(isinstance(split, ChangeSplit) for split in splits) and [s.name for s in splits] == ['train', 'val']
    return {(f.severity, f.code, f.file.removeprefix(f'{root}/'), f.split) for f in check_splits(splits, workers=0)}


def test_a_clean_data_set_has_no_findings(root):
    assert codes(root) == set()


def test_sizes_and_broken_files_of_the_second_date(root):
    write_array(root / 't2/001.png', np.zeros((24, 30, 3), np.uint8))
    path = root / 't2/005.png'
    path.write_bytes(path.read_bytes()[:-20])
    found = codes(root)
    assert ('error', 'size', 't2/001.png', 'train') in found
    assert ('error', 'image_truncated', 't2/005.png', 'val') in found


def test_missing_partners_are_all_listed(root):
    (root / 't2/001.png').unlink()
    (root / 'label_t1/002.png').unlink()
    found = codes(root)
    assert {('error', 'missing', 't2/001', 'train'), ('error', 'missing', 'label_t1/002', 'train')} <= found


def test_land_cover_values_and_sizes(root):
    t1 = land_covers(0)[0]
    t1[0, 0] = 9
    write_array(root / 'label_t1/000.png', t1)
    write_array(root / 'label_t2/001.png', np.zeros((4, 4), np.uint8))
    found = codes(root)
    assert ('error', 'values', 'label_t1/000.png', 'train') in found
    assert any(code == 'size' for _, code, _, _ in found)


def test_contradictions_between_change_and_land_cover(root):
    change = land_covers(0)[2]
    write_array(root / 'label_change/000.png', np.where(change == 1, 0, change))
    assert ('warning', 'change_contradicts_land_cover', 'label_change/000.png', 'train') in codes(root)
    write_array(root / 'label_change/000.png', np.where(change == 0, 1, change))
    assert ('note', 'change_within_land_cover', '', 'train') in codes(root)


def test_land_cover_at_one_date_only(root):
    t2 = land_covers(1)[1]
    t2[land_covers(1)[2] == 1] = 255
    write_array(root / 'label_t2/001.png', t2)
    assert ('warning', 'one_date_only', '', 'train') in codes(root)


def test_masks_of_0_and_255_that_are_read_as_indices(root):
    for number in range(4):
        write_array(root / f'label_change/{number:03d}.png', (255 * (land_covers(number)[2] == 1)).astype(np.uint8))
    assert ('error', 'change_255', '', 'train') in codes(root)


def test_an_image_of_one_split_in_the_second_date_of_another(root):
    (root / 't2/004.png').write_bytes((root / 't1/000.png').read_bytes())
    assert any(code == 'duplicate_across_splits' for _, code, _, _ in codes(root))


def test_few_pairs_with_change(root, tmp_path):
    rng = np.random.default_rng(0)
    names = []
    for number in range(10, 30):
        t1 = land_covers(number)[0]
        for folder, values in (
            ('label_t1', t1), ('label_t2', t1), ('label_change', 0 * t1),
            ('t1', picture(t1, 1)), ('t2', picture(t1, 1) // 2 + rng.integers(0, 9, dtype=np.uint8)),
        ):  # fmt: skip
            write_array(root / f'{folder}/{number:03d}.png', values)
        names.append(f'{number:03d}')
    (root / 'splits/train.txt').write_text('\n'.join(['000', *names]))
    assert ('note', 'few_pairs_with_change', '', 'train') in codes(root)


def test_stats_of_a_folder(root, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    assert main(['stats', str(root), '--out', str(tmp_path / 'out'), '--workers', '0']) == 0
    text = ' '.join(capsys.readouterr().out.split())
    for words in ('of the known pixels', '100 % of the pairs hold any change', 'transitions: ', 'soil -> road'):
        assert words in text
    change = json.loads((tmp_path / 'out/stats.json').read_text())['splits']['val']['change']
    labels = np.stack([np.asarray(Image.open(root / f'label_change/{number:03d}.png')) for number in (4, 5)])
    assert change['changed_pixels'] == (labels == 1).sum() / (labels != 255).sum()
    assert change['pairs_with_change'] == 1 and change['possible_transitions'] == 12
    assert sum(item['pixels'] for item in change['transitions'].values()) <= (labels == 1).sum()


def test_stats_and_check_of_a_config(root, tmp_path, capsys):
    pytest.importorskip('mmseg')
    config = tmp_path / 'config.py'
    config.write_text(f"""
default_scope = 'mmseg'
train_dataloader = dict(dataset=dict(
    type='imbdense.ChangePairDataset', data_root={str(root)!r}, ann_file='splits/train.txt',
    pipeline=[dict(type='imbdense.LoadChangePair'), dict(type='imbdense.PackChangeInputs')]))
""")
    assert main(['check', str(config), '--workers', '0']) == 0
    assert main(['stats', str(config), '--workers', '0']) == 0
    assert 'transitions: ' in capsys.readouterr().out


def test_broken_land_cover_is_named_by_stats(root, capsys):
    (root / 'label_t2/001.png').write_bytes(b'broken')
    assert main(['stats', str(root), '--workers', '0']) == 2
    assert 'label_t2/001.png' in capsys.readouterr().err


def test_a_second_date_that_is_a_copy_of_the_first(root):
    (root / 't2/001.png').write_bytes((root / 't1/001.png').read_bytes())
    found = codes(root)
    assert ('warning', 'same_dates', 't2/001.png', 'train') in found
    assert not any(code.startswith('duplicate') for _, code, _, _ in found), 'one fault, one finding'


def test_a_class_is_absent_only_if_no_date_holds_it(root):
    for number, date in enumerate(('label_t1', 'label_t2')):
        for path in sorted((root / date).glob('*.png')):
            values = np.array(Image.open(path))
            values[(values == 3) | (values == number)] = 255  # water at no date, building and soil at one each
            write_array(path, values)
    found = [f for f in check_splits(folder_splits(root), workers=0) if f.code == 'absent_class']
    assert {f.split for f in found} == {'train', 'val'}
    assert {f.message for f in found} == {"no land-cover map of any date holds ['water']."}


def test_a_config_tells_how_many_files_are_missing(root, tmp_path, capsys):
    for name in ('000', '001', '002'):
        (root / f't2/{name}.png').unlink()
    config = tmp_path / 'config.py'
    config.write_text(
        f"train_dataloader = dict(dataset=dict(type='imbdense.ChangePairDataset', data_root={str(root)!r},\n"
        "    ann_file='splits/train.txt'))\n"
    )
    assert main(['check', str(config)]) == 2
    told = capsys.readouterr().err
    assert 't2/000' in told and '2 more files are missing' in told
