"""Views of point clouds: colours by class and error, the nearest point is seen, rare classes stay, a whole page."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from imbdense.report.point_layers import (
    IGNORED,
    RIGHT,
    class_layer,
    colour_layer,
    error_layer,
    height_layer,
    sample_points,
)
from imbdense.report.point_page import class_rows, point_page
from imbdense.report.point_render import View, project
from imbdense.report.point_script import SCRIPT

CLASSES, PALETTE = ['ground', 'house', 'mast'], [(10, 20, 30), (200, 0, 0), (0, 0, 200)]


def test_class_layer_puts_the_rarest_first() -> None:
    layer = class_layer('label', np.array([0, 0, 0, 2, 1, 1, -1]), CLASSES, PALETTE)
    assert [text for text, _ in layer.legend] == ['mast 1', 'house 2', 'ground 3', 'ignored 1']
    assert layer.rgb[3].tolist() == [0, 0, 200] and layer.rgb[6].tolist() == list(IGNORED)
    with pytest.raises(ValueError, match='labels reach from 0 to 3'):
        class_layer('label', np.array([0, 3]), CLASSES, PALETTE)


def test_error_layer_shows_what_was_missed() -> None:
    layer = error_layer(np.array([0, 0, 2, 1, -1]), np.array([0, 1, 0, 1, 0]), CLASSES, PALETTE)
    assert layer.rgb.tolist() == [list(RIGHT), [10, 20, 30], [0, 0, 200], list(RIGHT), list(IGNORED)]
    assert [text for text, _ in layer.legend] == ['mast missed 1 of 1', 'ground missed 1 of 2', 'right 2', 'ignored 1']


def test_height_layer_is_lighter_upwards() -> None:
    layer = height_layer(np.linspace(0, 10, 50))
    assert (np.diff(layer.rgb.astype(int).sum(axis=1)) >= 0).all()
    assert height_layer(np.zeros(0)).rgb.shape == (0, 3)


def test_the_upper_point_is_seen_from_above() -> None:
    """Two points over one another, two corners; +y is up in the picture, +x right."""
    xyz = np.array([[5.0, 5, 0], [5, 5, 9], [0, 0, 1], [10, 10, 1]])
    found = project(xyz, View('top'), side=11, radius=0)
    assert found.point.shape == (11, 11)
    assert found.point[5, 5] == 1 and found.point[10, 0] == 2 and found.point[0, 10] == 3
    assert np.count_nonzero(found.point >= 0) == 3
    picture = found.paint(np.array([[1, 1, 1], [9, 9, 9], [50, 0, 0], [0, 50, 0]], np.uint8))
    assert picture[5, 5].tolist() == [9, 9, 9] and picture[0, 0].tolist() == [255, 255, 255]


def test_from_the_side_the_near_wall_hides_the_far_one() -> None:
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    walls = np.concatenate([np.c_[grid[:, 0], np.full(400, y), grid[:, 1]] for y in (0.0, 30.0)])
    seen = project(walls, View('south', 180, 0), side=20, radius=0)  # the eye is in the south, so near is y = 0
    assert set(seen.point[seen.point >= 0] // 400) == {0}
    top = seen.point[0][seen.point[0] >= 0]
    assert (walls[top, 2] == 19).all()
    assert (np.diff(walls[seen.point[5], 0]) > 0).all()  # east is right


def test_points_grow_until_they_touch_and_nearer_discs_win() -> None:
    xyz = np.array([[0.0, 0, 0], [100, 0, 0], [100, 100, 0], [0, 100, 0], [50, 50, 5], [51, 50, 9]])
    found = project(xyz, View('top'), side=101)
    assert np.count_nonzero(found.point >= 0) > 6 * 20
    assert found.point[50, 51] == 5 and found.point[50, 53] == 5
    with pytest.raises(ValueError, match='expected points'):
        project(np.zeros((0, 3)), View('top'))


def test_sampled_points_keep_rare_classes() -> None:
    labels = np.zeros(100_000, np.int64)
    labels[::10_000] = 2
    kept = sample_points(labels, len(labels), 1000)
    assert len(kept) == len(set(kept.tolist())) == 1000 and (labels[kept] == 2).sum() == 10
    assert (np.diff(kept) > 0).all()
    assert sample_points(labels, len(labels), 10**6).tolist() == list(range(100_000))
    np.testing.assert_array_equal(sample_points(None, 500, 50, seed=1), sample_points(None, 500, 50, seed=1))


def test_page_is_whole_and_its_points_come_back() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.uniform((7e5, 6e6, 100), (7e5 + 80, 6e6 + 40, 130), (500, 3))
    labels = rng.integers(0, 3, 500)
    colours = rng.integers(0, 255, (500, 3)).astype(np.uint8)
    layers = [colour_layer(colours), class_layer('label', labels, CLASSES, PALETTE)]
    picture = project(xyz, View('top'), 40).paint(layers[1].rgb)
    rows = class_rows(CLASSES, PALETTE, labels, labels)
    html = point_page('<tile>', 'all', xyz, layers, {'top, label': picture}, rows)
    assert '&lt;tile&gt;' in html and 'src="http' not in html and 'href="http' not in html and '@import' not in html
    record = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])
    steps = np.frombuffer(base64.b64decode(record['xyz']), '<u2').reshape(-1, 3)
    found = steps * (max(record['size']) / 65535) + xyz.min(axis=0)
    np.testing.assert_allclose(found, xyz, atol=80 / 65535)
    assert record['count'] == 500 and [layer['name'] for layer in record['layers']] == ['colour', 'label']
    assert base64.b64decode(record['layers'][1]['rgb']) == layers[1].rgb.tobytes()
    assert rows[0][-1] == 'IoU, %' and rows[1][-1] == '100.0'


@pytest.mark.skipif(shutil.which('node') is None, reason='needs node to read JavaScript')
def test_script_is_javascript(tmp_path: Path) -> None:
    (tmp_path / 'view.js').write_text(SCRIPT)
    subprocess.run(['node', '--check', str(tmp_path / 'view.js')], check=True)
