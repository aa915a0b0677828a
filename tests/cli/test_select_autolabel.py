"""``imbdense select autolabel``: proposals become labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imbdense.cli import select_autolabel
from imbdense.cli.main import UserError

CAR, MAST = 7, 3  # category ids; classes are ordered by id: mast, car


def box(image: int, category: int, x: float, score: float, masks: bool) -> dict[str, Any]:
    """A proposal of 10 x 10 pixels."""
    found = {'image_id': image, 'category_id': category, 'bbox': [x, 0, 10, 10], 'area': 100, 'score': score}
    return {**found, 'segmentation': [[x, 0, x + 10, 0, x + 10, 10, x, 10]]} if masks else found


def write(path: Path, masks: bool) -> Path:
    """Image 1: a car twice, a faint car, a mast beside; image 2: car and mast on one place; image 3: nothing."""
    boxes = [
        box(1, CAR, 0, 0.5, masks), box(1, CAR, 1, 0.8, masks), box(1, CAR, 30, 0.2, masks),
        box(1, MAST, 20, 0.3, masks), box(2, CAR, 0, 0.60, masks), box(2, MAST, 5, 0.65, masks),
    ]
    record = {
        'images': [{'id': i, 'file_name': f'town/{i}.jpg', 'width': 40, 'height': 10} for i in (1, 2, 3)],
        'annotations': [{'id': number, **item} for number, item in enumerate(boxes)],
        'categories': [{'id': CAR, 'name': 'car'}, {'id': MAST, 'name': 'mast'}],
    }
    path.write_text(json.dumps(record))
    return path


def call(*arguments: object) -> int:
    """Run the verb's part."""
    parser = argparse.ArgumentParser()
    select_autolabel.add_arguments(parser)
    return select_autolabel.run(parser.parse_args([str(value) for value in arguments]))


def test_detection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(write(tmp_path / 'p.json', masks=False), '--out', tmp_path / 'auto') == 0
    record = json.loads((tmp_path / 'auto' / 'autolabels.json').read_text())
    assert [item['id'] for item in record['annotations']] == [1, 3, 4, 5] and len(record['images']) == 3
    assert all('score' in item for item in record['annotations'])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['car', '4', '3', '2', '50.0', '%'] in rows and ['mast', '2', '2', '2', '100.0', '%'] in rows


def test_segmentation(tmp_path: Path) -> None:
    out = tmp_path / 'auto'
    call(write(tmp_path / 'p.json', masks=True), '--out', out, '--task', 'segmentation', '--classes', 'ground', 'mast',
         'car', '--background', 'ground')
    assert (out / 'images.txt').read_text().split() == ['town/1', 'town/2', 'town/3']
    first, second, third = (np.asarray(Image.open(out / 'labels' / 'town' / f'{i}.png')) for i in (1, 2, 3))
    assert first.shape == (10, 40) and set(np.unique(first)) == {0, 1, 2}
    assert (first[:, 1:11] == 2).all() and (first[:, 20:30] == 1).all() and (first[:, 31:] == 0).all()
    assert (second[:, :5] == 2).all() and (second[:, 5:10] == 255).all() and (second[:, 10:15] == 1).all()
    assert (third == 0).all()


def test_without_a_background_unpainted_pixels_are_ignored(tmp_path: Path) -> None:
    call(write(tmp_path / 'p.json', masks=True), '--out', tmp_path / 'auto', '--task', 'segmentation')
    assert (np.asarray(Image.open(tmp_path / 'auto' / 'labels' / 'town' / '3.png')) == 255).all()


def test_the_same_command_again_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    proposals, out = write(tmp_path / 'p.json', masks=True), tmp_path / 'auto'
    call(proposals, '--out', out, '--task', 'segmentation')
    kept = out / 'labels' / 'town' / '2.png'
    kept.unlink()
    before = (out / 'labels' / 'town' / '1.png').stat().st_mtime_ns
    call(proposals, '--out', out, '--task', 'segmentation')
    assert kept.exists() and (out / 'labels' / 'town' / '1.png').stat().st_mtime_ns == before
    with pytest.raises(UserError, match='score_thr'):
        call(proposals, '--out', out, '--task', 'segmentation', '--score-thr', 0.5)


def test_faults_are_named(tmp_path: Path) -> None:
    boxes = write(tmp_path / 'p.json', masks=False)
    with pytest.raises(UserError, match='have no segmentation'):
        call(boxes, '--out', tmp_path / 'a', '--task', 'segmentation')
    with pytest.raises(UserError, match='background'):
        call(boxes, '--out', tmp_path / 'b', '--task', 'segmentation', '--background', 'sky')
    with pytest.raises(UserError, match=r"lacks the categories \['mast'\]"):
        call(boxes, '--out', tmp_path / 'c', '--task', 'segmentation', '--classes', 'car')
    with pytest.raises(UserError, match='belong to --task segmentation'):
        call(boxes, '--out', tmp_path / 'd', '--background', 'car')
    with pytest.raises(UserError, match=r'has a score of 0.9 or more.*Lower --score-thr'):
        call(boxes, '--out', tmp_path / 'e', '--score-thr', 0.9)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]  # corrected proposals find no folder taken


@pytest.mark.parametrize(('name', 'message'), [
    ('town/1.png', r"'town/1\.jpg' and 'town/1\.png' would have one label, town/1\.png"),
    ('/data/2.jpg', 'must be the path inside the image folder'), ('../2.jpg', 'must be the path inside'),
])  # fmt: skip
def test_every_image_has_its_own_label(tmp_path: Path, name: str, message: str) -> None:
    proposals = write(tmp_path / 'p.json', masks=True)
    record = json.loads(proposals.read_text())
    record['images'][1]['file_name'] = name
    proposals.write_text(json.dumps(record))
    with pytest.raises(UserError, match=message):
        call(proposals, '--out', tmp_path / 'auto', '--task', 'segmentation')
    assert not (tmp_path / 'auto').exists()


def test_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    proposals = write(tmp_path / 'p.json', masks=False)
    proposals.write_text(proposals.read_text().replace('"area": 100', '"area": NaN'))
    with pytest.raises(UserError, match=r'p\.json holds NaN or Infinity'):
        call(proposals, '--out', tmp_path / 'auto')
    assert not (tmp_path / 'auto' / 'autolabels.json').exists()
