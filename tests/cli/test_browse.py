"""The verb browse on generated data: a segmentation and a detection config, rarest class first, lost classes marked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from imbdense.cli.main import main

SEGMENTATION = """
default_scope = 'mmseg'
crop = {crop}
train_dataloader = dict(batch_size=1, dataset=dict(
    type='BaseSegDataset', data_root=r'{root}', data_prefix=dict(img_path='images', seg_map_path='labels'),
    img_suffix='.png', seg_map_suffix='.png',
    metainfo=dict(classes=('ground', 'road', 'bike/cycle'), palette=[[9, 9, 9], [90, 90, 90], [255, 0, 200]]),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
        + ([dict(type='RandomCrop', crop_size=(8, 8))] if crop else []) + [dict(type='PackSegInputs')]))
model = dict(type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True))
"""
DETECTION = """
default_scope = 'mmdet'
train_dataloader = dict(batch_size=1, dataset=dict(
    type='CocoDataset', data_root=r'{root}', ann_file='train.json', data_prefix=dict(img='images/'),
    metainfo=dict(classes=('cell', 'rare')), pipeline=[dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True), dict(type='PackDetInputs')]))
"""


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Four images; one has a few pixels (one object) of the rare class."""
    root = tmp_path / 'data'
    for name in ('images', 'labels'):
        (root / name).mkdir(parents=True)
    annotations = []
    for i in range(4):
        label = np.zeros((40, 60), np.uint8)
        label[:15] = 1
        if i == 3:
            label[30:33, 50:53] = 2
        image = np.zeros((40, 60, 3), np.uint8)
        image[...] = (250, 10, 10)
        Image.fromarray(image).save(root / f'images/s{i}.png')
        Image.fromarray(label).save(root / f'labels/s{i}.png')
        annotations.append(
            {'id': i + 1, 'image_id': i, 'category_id': 1 + (i == 3), 'bbox': [5, 5, 12, 9], 'area': 108, 'iscrowd': 0}
        )
    images = [{'id': i, 'file_name': f's{i}.png', 'height': 40, 'width': 60} for i in range(4)]
    categories = [{'id': 1, 'name': 'cell'}, {'id': 2, 'name': 'rare'}]
    (root / 'train.json').write_text(
        json.dumps({'images': images, 'annotations': annotations, 'categories': categories})
    )
    return root


def browse(tmp_path: Path, text: str, *options: str) -> Path:
    config = tmp_path / 'config.py'
    config.write_text(text)
    out = tmp_path / 'out'
    assert main(['browse', str(config), '--out', str(out), *options]) == 0
    return out


def test_segmentation_pages_rarest_first(tmp_path, scenes):
    out = browse(tmp_path, SEGMENTATION.format(root=scenes, crop=False), '--per-class', '3')
    index = (out / 'index.html').read_text()
    assert re.findall(r'href="(class_[\w-]+\.html)">\w', index) == [
        'class_bike-cycle.html',
        'class_road.html',
        'class_ground.html',
    ]
    page = (out / 'class_bike-cycle.html').read_text()
    assert page.count('<figure>') == 1 and 's3.png' in page and '9 pixels (0.375 % of the sample)' in page
    assert (out / 'class_ground.html').read_text().count('<figure>') == 3
    assert not re.search(r'(src|href)="(?!data:|#|class_|index)', page + index)


def test_crops_that_lose_the_class_are_marked_and_draws_repeat(tmp_path, scenes):
    text = SEGMENTATION.format(root=scenes, crop=True)
    first = browse(tmp_path, text, '--classes', 'bike/cycle', '--seed', '1')
    page = (first / 'class_bike-cycle.html').read_text()
    assert 'the class is gone in this sample' in page and 'In 0 of 1 samples' in page
    assert not (first / 'class_road.html').exists()
    again = browse(tmp_path, text, '--classes', 'bike/cycle', '--seed', '1')
    assert (again / 'class_bike-cycle.html').read_text() == page


def test_colours_are_right_way_round(tmp_path, scenes):
    import base64
    import io

    out = browse(tmp_path, SEGMENTATION.format(root=scenes, crop=False), '--per-class', '1')
    code = re.search(r'base64,([A-Za-z0-9+/=]+)', (out / 'class_bike-cycle.html').read_text()).group(1)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
    assert picture[..., 0].mean() > picture[..., 2].mean() + 50  # the images are red


def test_detection_boxes(tmp_path, scenes):
    out = browse(tmp_path, DETECTION.format(root=scenes))
    page = (out / 'class_rare.html').read_text()
    assert '1 objects in 1 images, 25 % of all' in page and '1 of 1 objects' in page


def test_mistakes_are_one_message(tmp_path, scenes, capsys):
    config = tmp_path / 'config.py'
    config.write_text(SEGMENTATION.format(root=scenes, crop=False))
    assert main(['browse', str(config), '--split', 'val']) == 2
    assert "no val_dataloader.dataset; it has ['train']" in capsys.readouterr().err
    assert main(['browse', str(config), '--classes', 'tree']) == 2
    assert "there is no class ['tree']" in capsys.readouterr().err
    config.write_text(SEGMENTATION.format(root=tmp_path / 'nowhere', crop=False))
    assert main(['browse', str(config)]) == 2
    assert 'nowhere' in capsys.readouterr().err
