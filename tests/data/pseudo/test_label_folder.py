"""Reading a finished folder of pseudo-labels back: every kind of damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbdense.data.pseudo import SidecarError, read_label_folder
from tests.data.pseudo.label_folders import write, write_label_folder

CLASSES = ('ground', 'mast')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two labelled images and a broken one."""
    images = []
    for number in range(3):
        images.append(tmp_path / 'photos' / f'{number}.png')
        images[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4 + number, 3), number, np.uint8)).save(images[-1])
    label = np.array([[0, 0, 1, 255]], np.uint8)
    return write_label_folder(tmp_path / 'pseudo', images[:2], [label, label], CLASSES, left_out=images[2:])


def test_names_counts_and_files(folder: Path) -> None:
    found = read_label_folder(folder)
    assert found.classes == CLASSES and found.kept == (4, 2) and found.predicted == (5, 3)
    assert found.name_of(folder.parent / 'photos' / '1.png') == '1'
    assert found.name_of(folder.parent / 'photos' / '2.png') is None, 'a broken image is left out'
    assert found.label('1').is_file() and found.confidence('1').is_file()


def test_both_folders_may_be_moved(folder: Path, tmp_path: Path) -> None:
    (tmp_path / 'photos').rename(tmp_path / 'elsewhere')
    moved = folder.rename(tmp_path / 'labels_moved')
    assert read_label_folder(moved).name_of(tmp_path / 'elsewhere' / '0.png') == '0'


def test_images_of_sub_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    report = json.loads((folder / 'pseudo_report.json').read_text())
    size = (tmp_path / 'photos' / '0.png').stat().st_size
    report['files'] = {'a/0.png': ['a/0', size], 'b/0.png': ['b/0', size]}
    write(folder / 'pseudo_report.json', report)
    for name in 'ab':
        target = tmp_path / name / '0.png'
        target.parent.mkdir()
        target.write_bytes((tmp_path / 'photos' / '0.png').read_bytes())
        assert read_label_folder(folder).name_of(target) == f'{name}/0'


def test_unknown_and_changed_images(folder: Path) -> None:
    found = read_label_folder(folder)
    with pytest.raises(SidecarError, match=r'knows nothing of the image .*9\.png'):
        found.name_of(folder.parent / 'photos' / '9.png')
    (folder.parent / 'photos' / '0.png').write_bytes(b'other')
    with pytest.raises(SidecarError, match=r'0\.png is not the image that was labelled .*has 5 bytes'):
        found.name_of(folder.parent / 'photos' / '0.png')


@pytest.mark.parametrize(('name', 'words'), [('pseudo_sidecar.json', 'stopped at the start'),
                                             ('pseudo_report.json', 'not finished')])
def test_missing_and_corrupt_files(folder: Path, name: str, words: str) -> None:
    whole = (folder / name).read_text()
    (folder / name).unlink()
    with pytest.raises(SidecarError, match=rf'{name}: .*{words}'):
        read_label_folder(folder)
    for broken in (whole[:30], '[]'):
        (folder / name).write_text(broken)
        with pytest.raises(SidecarError, match=rf'{name} is corrupt'):
            read_label_folder(folder)


@pytest.mark.parametrize(('name', 'key'), [
    ('pseudo_sidecar.json', 'format'), ('pseudo_sidecar.json', 'task'), ('pseudo_sidecar.json', 'checkpoint'),
    ('pseudo_report.json', 'identity'), ('pseudo_report.json', 'rule'), ('pseudo_report.json', 'table'),
    ('pseudo_report.json', 'files'),
])  # fmt: skip
def test_missing_key_is_named(folder: Path, name: str, key: str) -> None:
    content = json.loads((folder / name).read_text())
    del content[key]
    write(folder / name, content)
    with pytest.raises(SidecarError, match=f"{name} has no entry '{key}'"):
        read_label_folder(folder)


@pytest.mark.parametrize(('key', 'value', 'words'), [
    ('checkpoint', 'zz', 'mixes two rounds .checkpoint: zz'), ('rule', {}, 'mixes two rounds .rule'),
    ('task', 'detection', 'AnyCocoDataset'), ('format', 7, 'has format 7, expected 1'),
])  # fmt: skip
def test_sidecar_of_another_round(folder: Path, key: str, value: object, words: str) -> None:
    content = json.loads((folder / 'pseudo_sidecar.json').read_text())
    write(folder / 'pseudo_sidecar.json', {**content, key: value})
    with pytest.raises(SidecarError, match=words):
        read_label_folder(folder)
