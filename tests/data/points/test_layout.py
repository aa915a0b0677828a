"""Every layout on a miniature of its download: splits, labels, scenes without labels, missing folders."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from imbdense.data.points import PointReadError, write_points
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import LAYOUTS, point_layout
from tests.data.points.point_folders import POINT_FOLDERS, cloud, make_aerial_scenes

FOLDERS = {**POINT_FOLDERS, 'aerial_scenes': make_aerial_scenes}


@pytest.mark.parametrize('name', LAYOUTS)
def test_train_and_val_do_not_meet_and_every_scene_has_classes(tmp_path, name):
    FOLDERS[name](tmp_path)
    layout = point_layout(name)
    splits = [split for split in ('train', 'val', 'test') if split in layout.splits]
    found = {}
    for split in splits:
        if split == 'test' and name in ('ign_lidar_hd', 'scannet', 'scannet200'):
            continue
        scenes = layout.scenes(tmp_path, split)
        found[split] = [scene.name for scene in scenes]
        assert found[split] == sorted(found[split]) and len(set(found[split])) == len(scenes)
        labelled = split != 'test' or name in ('stpls3d', 'toronto3d', 'dales')
        for scene in scenes:
            loaded = load_scene(layout, scene, need_labels=labelled)
            if labelled:
                known = set(range(len(layout.class_map().classes)))
                assert set(loaded.semantic.tolist()) <= known | {-1} and (loaded.semantic >= 0).any()
            else:
                assert loaded.semantic is None
    assert not set(found['train']) & set(found.get('val', ()))
    assert pickle.loads(pickle.dumps(layout)).name == name  # workers get it


@pytest.mark.parametrize('name', LAYOUTS)
def test_missing_folder_shows_the_layout(tmp_path, name):
    layout = point_layout(name)
    split = 'train'
    with pytest.raises(PointReadError, match=f'is no folder.*Expected layout of {name}') as error:
        layout.scenes(tmp_path / 'nowhere', split)
    assert error.value.code == 'missing'
    with pytest.raises(PointReadError, match='Expected layout'):
        layout.scenes(tmp_path, split)
    with pytest.raises(ValueError, match='split must be one of'):
        layout.scenes(tmp_path, 'trian')
    with pytest.raises(ValueError, match='mapping must be one of'):
        layout.class_map('nonsense')


def test_unknown_layout_lists_the_names():
    with pytest.raises(ValueError, match=r"layout must be one of .*'stpls3d'.* but got 'kitti'"):
        point_layout('kitti')


def test_scene_without_labels_with_other_codes_or_all_ignored(tmp_path):
    """Named errors where labels are needed; prediction goes on."""
    layout = point_layout('dales')
    (tmp_path / 'train').mkdir()
    write_points(tmp_path / 'train/bare.ply', cloud((1,)).replace(semantic=None, instance=None))
    write_points(tmp_path / 'train/odd.ply', cloud((1, 1, 9)).replace(instance=None))
    write_points(tmp_path / 'train/void.ply', cloud((0,)).replace(instance=None))
    bare, odd, void = layout.scenes(tmp_path, 'train')
    with pytest.raises(PointReadError, match=r'bare\.ply: has no labels, but scene bare') as error:
        load_scene(layout, bare)
    assert error.value.code == 'unlabelled'
    assert load_scene(layout, bare, need_labels=False).semantic is None
    with pytest.raises(PointReadError, match=r'odd\.ply: .* does not name: 9 \(13 points\)'):
        load_scene(layout, odd)
    assert set(load_scene(layout, odd, unknown='ignore').semantic.tolist()) == {0, -1}
    message = r'void\.ply: all 40 points of scene void are ignored \(codes 0: 40\)'
    with pytest.raises(PointReadError, match=message) as error:
        load_scene(layout, void)
    assert error.value.code == 'ignored'
    assert (load_scene(layout, void, need_labels=False).semantic == -1).all()


def test_a_class_map_of_your_own(tmp_path):
    POINT_FOLDERS['dales'](tmp_path)
    layout = point_layout('dales')
    mine = ClassMap(('line',), ((1, 2, 3),), {code: 0 if code == 5 else -1 for code in range(9)})
    scene = layout.scenes(tmp_path, 'train')[0]
    assert np.unique(load_scene(layout, scene, mapping=mine).semantic).tolist() == [-1, 0]
