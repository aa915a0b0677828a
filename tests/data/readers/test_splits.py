"""Split files and pairs."""

import pytest

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.splits import pair_files, read_split
from tests.data.label_files import write_image, write_seg_folder


def test_split_files_of_all_kinds(tmp_path):
    path = tmp_path / 's.txt'
    path.write_text('\ufeff# comment\n a \n\nb 1\nc -1\nname with space\n', encoding='utf-8')
    assert read_split(path) == ['a', 'b', 'c', 'name with space']


@pytest.mark.parametrize(
    ('text', 'words'), [('\n\n', 'names no files'), ('a\nb\na\n', r"names \['a'\] more than once")]
)
def test_faulty_split_files(tmp_path, text, words):
    (tmp_path / 's.txt').write_text(text)
    with pytest.raises(LabelReadError, match=words):
        read_split(tmp_path / 's.txt')


def test_pairs_by_stem_and_by_suffix(tmp_path):
    root = write_seg_folder(tmp_path)
    pairs = pair_files(root / 'images', root / 'labels')
    assert len(pairs) == 6
    assert all(image.replace('images', 'labels') == label for image, label in pairs)
    chosen = pair_files(root / 'images', root / 'labels', ['val/101', 'train/000.png'])
    assert [image[-11:] for image, _ in chosen] == ['val/101.png', 'ain/000.png']
    for name in ('u_left.jpg', 'v_left.jpg'):
        write_image(tmp_path / 'i' / name, (4, 4))
        write_image(tmp_path / 'l' / name.replace('left.jpg', 'ids.png'), (4, 4))
    pairs = pair_files(tmp_path / 'i', tmp_path / 'l', image_suffix='_left.jpg', label_suffix='_ids.png')
    assert [label[-9:] for _, label in pairs] == ['u_ids.png', 'v_ids.png']


def test_a_missing_partner_is_named(tmp_path):
    root = write_seg_folder(tmp_path)
    (root / 'labels' / 'train' / '002.png').unlink()
    with pytest.raises(LabelReadError, match=r'train/002.*does not exist, but its image'):
        pair_files(root / 'images', root / 'labels')
    with pytest.raises(LabelReadError, match='there is no such image'):
        pair_files(root / 'images', root / 'labels', ['train/999'])
    with pytest.raises(LabelReadError, match='is no folder'):
        pair_files(root / 'image', root / 'labels')
