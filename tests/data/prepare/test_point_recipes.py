"""Recipes of point data sets: equal clouds from the download and from the cache, fingerprints, faults, facts sheets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.points import write_points
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import LAYOUTS, point_layout
from imbdense.data.prepare import PrepareError, prepare, recipe
from tests.data.points.clouds import assert_same
from tests.data.points.point_folders import (
    POINT_FOLDERS,
    add_scannet_test,
    add_stpls3d_synthetic,
    cloud,
    make_dales,
    make_semantickitti,
)
from tests.helpers.shared_data import shared_data_dir

DATASETS = Path(__file__).resolve().parents[3] / 'datasets'


PREPARED = [name for name in LAYOUTS if name != 'aerial_scenes']
"""Generated clouds need no recipe and no facts sheet."""


@pytest.mark.parametrize('name', PREPARED)
def test_same_scenes_and_clouds_as_from_the_download(tmp_path, name):
    source, out = tmp_path / 'source', tmp_path / 'out'
    POINT_FOLDERS[name](source)
    if name == 'stpls3d':
        add_stpls3d_synthetic(source)
    if name == 'scannet':
        add_scannet_test(source)
    prepare(recipe(name), source, out)
    layout, compared = point_layout(name), 0
    for split in layout.splits:
        try:
            before = layout.scenes(source, split)
        except ValueError:
            continue
        after = layout.scenes(out, split)
        assert [scene.name for scene in after] == [scene.name for scene in before]
        for one, other in zip(before, after):
            assert_same(load_scene(layout, one, need_labels=False), load_scene(layout, other, need_labels=False))
            compared += 1
    assert compared >= 3


def test_summary_counts_codes_per_scene(tmp_path):
    make_dales(tmp_path / 'source')
    job = prepare(recipe('dales'), tmp_path / 'source', tmp_path / 'out')
    record = json.loads((tmp_path / 'out/points.json').read_text())
    assert record['layout'] == 'dales' and record['splits']['train'] == ['5080_54435_new']
    scene = record['scenes']['5080_54435_new']
    assert scene['points'] == 40 and scene['codes'] == {str(code): 5 if code < 4 else 4 for code in range(9)}
    assert 'train: 1 scenes, 40 points' in job.notes


def test_only_scenes_that_changed_are_converted_again(tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'out'
    make_dales(source)
    prepare(recipe('dales'), source, out)
    times = {path.name: path.stat().st_mtime_ns for path in out.rglob('*.npz')}
    write_points(source / 'test/5080_54470.ply', cloud((1, 2), count=9).replace(instance=None))
    prepare(recipe('dales'), source, out)
    changed = {path.name for path in out.rglob('*.npz') if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {'5080_54470.npz'}
    assert json.loads((out / 'points.json').read_text())['scenes']['5080_54470']['points'] == 9


def test_faults_name_the_file(tmp_path):
    source = tmp_path / 'source'
    make_dales(source)
    write_points(source / 'train/5090_1.ply', cloud((1, 13)).replace(instance=None))
    with pytest.raises(PrepareError, match=r'5090_1\.ply: .* does not name: 13 \(20 points\)'):
        prepare(recipe('dales'), source, tmp_path / 'out')
    whole = (source / 'test/5080_54470.ply').read_bytes()
    (source / 'train/5090_1.ply').write_bytes(whole[:-9])
    with pytest.raises(PrepareError, match=r'5090_1\.ply: ends after'):
        prepare(recipe('dales'), source, tmp_path / 'out')


def test_semantickitti_labels_are_checked_and_the_folder_is_linked(tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'out'
    make_semantickitti(source)
    job = prepare(recipe('semantickitti'), source, out)
    assert (out / 'sequences').is_symlink() and 'val: 2 scans' in job.notes
    label = source / 'sequences/01/labels/000001.label'
    label.write_bytes(label.read_bytes()[:-4])
    with pytest.raises(PrepareError, match=r'000001\.label does not fit'):
        prepare(recipe('semantickitti'), source, tmp_path / 'other')
    label.unlink()
    with pytest.raises(PrepareError, match='1 of 4 scans of train have no label file'):
        prepare(recipe('semantickitti'), source, tmp_path / 'third')


@pytest.mark.parametrize('name', [name for name in PREPARED if name != 'scannet200'])
def test_sheet_lists_classes_and_colours_of_the_usual_map(name):
    text = (DATASETS / name / 'README.md').read_text(encoding='utf-8')
    usual = point_layout(name).class_map()
    for train, (label, colour) in enumerate(zip(usual.classes, usual.palette)):
        row = rf'\| {train} \| {re.escape(label)} \| {", ".join(map(str, colour))} \|'
        assert re.search(row, text), f'{name}: {label}'
    for mapping in point_layout(name).class_maps if name in ('stpls3d', 'ign_lidar_hd') else ():
        assert f'`{mapping}`' in text


def test_real_tiles_load_equal_from_the_cache(tmp_path):
    source = shared_data_dir('ign_lidar_hd')
    prepare(recipe('ign_lidar_hd'), source, tmp_path / 'out')
    layout = point_layout('ign_lidar_hd')
    for one, other in zip(layout.scenes(source, 'val'), layout.scenes(tmp_path / 'out', 'val')):
        loaded = load_scene(layout, other)
        assert_same(load_scene(layout, one), loaded)
        assert np.unique(loaded.semantic).max() <= 8
