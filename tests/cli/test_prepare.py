"""The verb prepare: list, near names, defaults, messages."""

from __future__ import annotations

from imbdense.cli.main import main
from tests.data.prepare.layouts import LAYOUTS
from tests.helpers.shared_data import shared_data_dir


def test_list_names_every_recipe(capsys):
    assert main(['prepare', 'list']) == 0
    printed = capsys.readouterr().out
    assert 'cityscapes' in printed and 'hsdb_instrument' in printed
    lines = printed.splitlines()
    start = lines[0].index('blood cells')
    assert all(line[start - 1] == ' ' != line[start] for line in lines), 'summaries stand below each other'


def test_near_name_and_missing_source_help(capsys):
    assert main(['prepare', 'citiscapes', 'x']) == 2
    assert 'Did you mean cityscapes' in capsys.readouterr().err
    assert main(['prepare', 'cityscapes']) == 2
    assert 'leftImg8bit' in capsys.readouterr().err


def test_prepares_and_says_what_came_out(tmp_path, capsys):
    LAYOUTS['bccd'](tmp_path / 'source')
    assert main(['prepare', 'bccd', str(tmp_path / 'source'), '--out', str(tmp_path / 'out')]) == 0
    assert 'train: 2 images, 4 boxes' in capsys.readouterr().out
    assert main(['prepare', 'bccd', str(tmp_path / 'nowhere'), '--out', str(tmp_path / 'other')]) == 2
    assert main(['prepare', 'bccd', str(tmp_path / 'source'), '--tile', '8']) == 2
    assert 'keeps its images whole' in capsys.readouterr().err


def test_real_thermal_images(tmp_path, capsys):
    source = shared_data_dir('hit_uav')
    assert main(['prepare', 'hit_uav', str(source), '--out', str(tmp_path / 'out')]) == 0
    assert 'train: 170 images, 1412 boxes' in capsys.readouterr().out
