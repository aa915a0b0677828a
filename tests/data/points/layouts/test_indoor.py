"""S3DIS and ScanNet: classes from names of files, instances from aggregations, known faults of the releases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from imbdense.data.points import PointReadError
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import point_layout
from imbdense.data.points.layouts.s3dis import CLASSES
from tests.data.points.point_folders import add_scannet_test, make_s3dis, make_scannet


def test_s3dis_objects_in_order_with_instances(tmp_path):
    make_s3dis(tmp_path)
    layout = point_layout('s3dis')
    rooms = layout.scenes(tmp_path, 'area_3')
    assert [room.name for room in rooms] == ['Area_3/hallway_2', 'Area_3/office_1']
    office = load_scene(layout, rooms[1])
    expected = np.repeat([CLASSES.index('chair'), CLASSES.index('wall'), CLASSES.index('wall')], 7)
    assert office.semantic.tolist() == expected.tolist()
    assert office.instance.tolist() == np.repeat([0, 1, 2], 7).tolist()
    assert CLASSES[load_scene(layout, rooms[0]).semantic[-1]] == 'clutter'  # stairs


def test_s3dis_folds_and_faults(tmp_path):
    make_s3dis(tmp_path)
    layout = point_layout('s3dis')
    assert len(layout.scenes(tmp_path, 'not_area_2')) == 10
    assert {room.name[:6] for room in layout.scenes(tmp_path, 'val')} == {'Area_5'}
    assert [r.name for r in layout.scenes(tmp_path, 'train')] == [r.name for r in layout.scenes(tmp_path, 'not_area_5')]
    folder = tmp_path / 'Area_5/office_1/Annotations'
    (folder / 'wall_3 (1).txt').write_text('1 2 3 4 5 6\n')
    scene = layout.scenes(tmp_path, 'area_5')[1]
    assert len(load_scene(layout, scene)) == 21  # the doubled file is left out
    (folder / 'chair_1.txt').write_bytes(b'1 2 3 4 5 6\n1 2 3 18\x105 6 7\n')
    with pytest.raises(PointReadError, match=r'chair_1\.txt: .* in line 2'):
        load_scene(layout, scene)
    (folder / 'chair_1.txt').rename(folder / 'piano_1.txt')
    with pytest.raises(PointReadError, match="object of class 'piano'"):
        load_scene(layout, scene)


def test_scannet_labels_and_objects(tmp_path):
    make_scannet(tmp_path)
    layout = point_layout('scannet')
    scene = layout.scenes(tmp_path, 'train')[0]
    assert layout.cloud(scene).semantic[:4].tolist() == [1, 5, 40, 0]
    loaded = load_scene(layout, scene)
    assert loaded.semantic[:4].tolist() == [0, 4, -1, -1]  # wall, chair; 40 is none of the 20
    assert loaded.instance[:4].tolist() == [0, 1, 1, -1]
    add_scannet_test(tmp_path)
    assert load_scene(layout, layout.scenes(tmp_path, 'test')[0], need_labels=False).semantic is None
    (tmp_path / 'scannetv2_val.txt').write_text('scene0002_00\nscene0003_00\n')
    with pytest.raises(PointReadError, match=r'names 1 scans that .* does not have, the first is scene0003_00'):
        layout.scenes(tmp_path, 'val')


def test_scannet200_takes_raw_categories(tmp_path):
    make_scannet(tmp_path)
    layout = point_layout('scannet200')
    scene = layout.scenes(tmp_path, 'val')[0]
    names = layout.class_map().classes
    loaded = load_scene(layout, scene)
    found = [names[train] if train >= 0 else None for train in loaded.semantic[:4].tolist()]
    assert found == ['wall', 'office chair', 'office chair', None]
    assert len(names) == 200 and len(set(names)) == 200


@pytest.mark.parametrize(('file', 'change', 'message'), [
    ('scene0002_00.aggregation.json', lambda r: r['segGroups'][0].pop('label'), "has no 'label'"),
    ('scene0002_00_vh_clean_2.0.010000.segs.json', lambda r: r['segIndices'].pop(), 'has 39 segments, but the scan 40'),
    ('scene0002_00.aggregation.json', lambda r: r['segGroups'][0].update(label='sofa bed'), "objects .'sofa bed'."),
])
def test_scannet_files_that_do_not_fit(tmp_path, file, change, message):
    make_scannet(tmp_path)
    path = tmp_path / 'scans/scene0002_00' / file
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    layout = point_layout('scannet200')
    with pytest.raises(PointReadError, match=message):
        load_scene(layout, layout.scenes(tmp_path, 'val')[0])
    path.write_text('{')
    with pytest.raises(PointReadError, match='cannot be read as JSON'):
        load_scene(layout, layout.scenes(tmp_path, 'val')[0])
