"""Images in two lists: by path, by content, by name alone."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.overlap import find_overlap


def write(folder: Path, **files: bytes) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f'{name}.png').write_bytes(content)
    return {name: str(folder / f'{name}.png') for name in files}


def test_same_file_same_content_same_name(tmp_path: Path) -> None:
    first = write(tmp_path / 'a', one=b'1111', two=b'2222', three=b'3333')
    second = write(tmp_path / 'b', copy=b'2222', three=b'other!', new=b'4444', longer=b'55555')
    names = [second['copy'], second['three'], first['one'], second['new'], second['longer']]
    overlap = find_overlap(list(first.values()), names)
    assert overlap.same == ((0, second['copy'], first['two']), (2, first['one'], first['one']))
    assert overlap.indices == [0, 2] and overlap.same_name == ('three.png',)
    assert second['copy'] in overlap.describe() and 'and 1 more' in overlap.describe(limit=1)


def test_links_are_the_same_file_and_missing_files_are_compared_by_path(tmp_path: Path) -> None:
    first = write(tmp_path / 'a', one=b'1111')
    link = tmp_path / 'link.png'
    link.symlink_to(first['one'])
    missing = str(tmp_path / 'gone.png')
    overlap = find_overlap([first['one'], missing], [str(link), missing, str(tmp_path / 'other.png')])
    assert overlap.indices == [0, 1]


def test_nothing_in_common(tmp_path: Path) -> None:
    first, second = write(tmp_path / 'a', one=b'1111'), write(tmp_path / 'b', two=b'2222')
    assert find_overlap(list(first.values()), list(second.values())).same == ()
    assert find_overlap([], list(second.values())).same == ()
