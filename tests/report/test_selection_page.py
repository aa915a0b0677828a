"""The page of `imbdense select report`: sound SVG, escaped names, pictures, missing parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from imbdense.cli.main import main
from imbdense.core.selection import Choice, Selection
from imbdense.data.object_pool import PoolImage, PoolWriter, open_pool
from imbdense.data.selection import selection_record
from imbdense.report.selection_map import pool_places
from imbdense.report.selection_page import around, selection_page
from imbdense.utils.files import atomic_write_json


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A pool of five images with two objects each, and a selection of three of them."""
    rng = np.random.default_rng(0)
    names = [f'<{index}>.png' for index in range(5)]
    with PoolWriter(tmp_path / 'pool', names, ('car', '<mast>', 'none'), source='gt') as out:
        for index in out.missing():
            out.add(index, PoolImage(np.array([0, 1]), np.ones(2), np.array([[1, 1, 9, 9]] * 2), np.full(2, 64),
                                     rng.normal(size=(2, 6))))  # fmt: skip
    pool = open_pool(out.finish())
    (tmp_path / 'images').mkdir()
    for name in names[:2]:
        Image.fromarray(np.zeros((32, 40, 3), np.uint8)).save(tmp_path / 'images' / name)
    choices = [Choice(1, 2.0, 'farthest', 3, 1, 5), Choice(0, 1.0, 'farthest', 1, 1, 2), Choice(4, 0.0, 'fill')]
    selection = Selection(choices, [names[choice.image] for choice in choices], 3.0, 0, {'type': 'X', 'k': 3},
                          pool.fingerprint, {'quota': {'car': 2}}, ['1 of 3 images are <random>.'])  # fmt: skip
    record = selection_record(selection, pool, budget=3, selected=[names[2]])
    atomic_write_json(tmp_path / 'sel.json', record)
    return tmp_path, record


def test_everything_is_shown(case: tuple[Path, dict[str, Any]]) -> None:
    folder, record = case
    text = selection_page(record, open_pool(folder / 'pool'), folder / 'images')
    (chart,) = re.findall(r'<svg.*?</svg>', text, re.DOTALL)
    circles = [item for item in ElementTree.fromstring(chart) if item.tag == 'circle']
    assert len(circles) == 10 and sum(item.get('r') == '6' for item in circles) == 2
    assert text.count('data:image/jpeg') == 2 and text.count('cannot be read') == 1
    assert text.index('cluster 2') < text.index('cluster 5') < text.index('without a class')
    for part in ('&lt;mast&gt;', '&lt;0&gt;.png', '&lt;random&gt;', 'X(k=3), seed 0: 3 of 5 images', 'quota'):
        assert part in text
    assert '<mast>' not in text and '<random>' not in text
    rows = re.findall(r'<tr>(.*?)</tr>', text)
    car = next(re.findall(r'<td>(.*?)</td>', row) for row in rows if '>car<' in row)
    assert car[1:] == ['5', '5', '1', '3', '60.0 %', '0']


def test_an_object_is_shown_with_what_is_round_it() -> None:
    """Twice and a half its longer side, at least 48 pixels, inside the image; nothing where that is the whole image."""
    assert around([100, 50, 140, 60], (200, 300)) == (70, 5, 170, 105)
    assert around([0, 190, 10, 200], (200, 300)) == (0, 152, 48, 200)
    assert around([0, 0, 90, 20], (200, 300)) is None


def test_figures_of_classes_are_a_table(case: tuple[Path, dict[str, Any]]) -> None:
    folder, record = case
    record['report'] = {'classes': [{'class': '<mast>', 'quota': 2, 'covered_objects': None}, {'class': 'car'}],
                        'passes': [{'class': 'car', 'added': 1}], 'missing_classes': []}
    text = selection_page(record, open_pool(folder / 'pool'), None)
    assert '<th>covered objects</th>' in text and '<tr><td>&lt;mast&gt;</td><td>2</td><td>–</td></tr>' in text
    assert '<summary>passes: 1 rows</summary>' in text and '<td>missing classes</td><td>–</td>' in text


def test_a_pool_without_classes(tmp_path: Path) -> None:
    """Grey points, images without a class, no table of classes."""
    with PoolWriter(tmp_path / 'pool', ['a.png', 'b.png', 'c.png'], (), source='image') as out:
        for index in out.missing():
            out.add(index, PoolImage(np.array([-1]), np.ones(1), np.array([[0, 0, 99, 99]]), np.ones(1),
                                     np.random.default_rng(index).normal(size=(1, 4))))  # fmt: skip
    pool = open_pool(out.finish())
    selection = Selection([Choice(2, 1.0, 'farthest', 2)], ['c.png'], 1.0, 0, {'type': 'X'}, pool.fingerprint)
    Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(tmp_path / 'c.png')
    text = selection_page(selection_record(selection, pool, budget=1), pool, tmp_path)
    assert 'The pool names no classes' in text and '<h3>without a class</h3>' in text
    assert text.count('#888888') == 3 and text.count('data:image/jpeg') == 1


def test_command(case: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, record = case
    given = ['select', 'report', str(folder / 'sel.json'), '--pool', str(folder / 'pool'), '--out',
             str(folder / 'x.html')]  # fmt: skip
    assert main(given) == 0 and 'data:image' not in (folder / 'x.html').read_text()
    assert main([*given, '--images', str(folder / 'nowhere')]) == 2 and 'there is no folder' in capsys.readouterr().err
    record['pool']['fingerprint'] = 'other'
    atomic_write_json(folder / 'sel.json', record)
    assert main(given) == 2 and 'chosen from another pool' in capsys.readouterr().err


def test_a_pool_without_features_has_no_map(tmp_path: Path) -> None:
    with PoolWriter(tmp_path / 'pool', ['a'], ('car',), source='gt') as out:
        out.add(0, PoolImage(np.zeros(0), np.zeros(0), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 6))))
    assert len(pool_places(open_pool(out.finish()), [])[0]) == 0


def test_missing_pictures_are_told(case: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = case
    given = ['select', 'report', str(folder / 'sel.json'), '--pool', str(folder / 'pool'), '--out',
             str(folder / 'x.html'), '--images']  # fmt: skip
    assert main([*given, str(folder / 'images')]) == 0
    assert '1 of 3 images are not in' in capsys.readouterr().err
    (folder / 'x.html').unlink()
    assert main([*given, str(folder)]) == 2 and 'holds none of the 3 chosen images' in capsys.readouterr().err
    assert not (folder / 'x.html').exists()
