"""Which images ``imbdense pseudo-label``, ``self-train`` and ``select pool`` find, and what they call them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from imbdense.cli.main import UserError
from imbdense.cli.pseudo_label import listed_images


def test_links_are_named_by_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `imbdense prepare` makes them: the folder of the data set links to the files of the download."""
    for name in ('download/x1.png', 'download/x2.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name, source in (('data/images/a/1.png', 'x1.png'), ('data/images/b/2.png', 'x2.png')):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).symlink_to(tmp_path / 'download' / source)
    found = listed_images([tmp_path / 'data' / 'images'], tmp_path / 'out')
    assert [(file.file_name, file.name) for file in found] == [('a/1.png', 'a/1'), ('b/2.png', 'b/2')]
    monkeypatch.chdir(tmp_path / 'data')
    assert [file.file_name for file in listed_images([Path('images')], Path('out'))] == ['a/1.png', 'b/2.png']
    (tmp_path / 'data' / 'list.txt').write_text('images/b/2.png\n../data/images/a/1.png\n')
    listed = listed_images([Path('list.txt')], Path('out'))
    assert [file.file_name for file in listed] == ['b/2.png', 'a/1.png'] and listed[0].path.is_file()


def test_nothing_to_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='no image'):
        listed_images([tmp_path], tmp_path / 'out')
    with pytest.raises(UserError, match='there is no list'):
        listed_images([tmp_path / 'list.txt'], tmp_path / 'out')
