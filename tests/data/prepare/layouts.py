"""Miniature copies of the source layouts, generated: a few tiny files each, exact in structure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imbdense.data.prepare import cityscapes, hsdb_instrument, isaid, isprs
from tests.data.points.point_folders import POINT_FOLDERS
from tests.data.prepare.change_layouts import CHANGE_LAYOUTS


def picture(path: Path, size: tuple[int, int] = (12, 16), seed: int = 0) -> None:
    """A random RGB image (rows, columns)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


def mask(path: Path, values: Any, size: tuple[int, int] = (12, 16), seed: int = 0) -> np.ndarray:
    """A random mask of the given ids or colours; returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.asarray(values, np.uint8)
    picked = table[np.random.default_rng(seed).integers(0, len(table), size)]
    Image.fromarray(picked).save(path)
    return picked


def text(path: Path, content: Any) -> None:
    """A text file, or JSON for anything but a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def make_bccd(root: Path) -> None:
    names = {'train': ['a', 'b'], 'val': ['c']}
    for split, stems in names.items():
        text(root / f'ImageSets/Main/{split}.txt', '\n'.join(stems) + '\n')
        for stem in stems:
            picture(root / f'JPEGImages/{stem}.jpg')
            boxes = ''.join(
                f'<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>'
                f'<ymax>{y1}</ymax></bndbox></object>'
                for name, x0, y0, x1, y1 in (('RBC', 1, 1, 5, 5), ('Platelets', 4, 4, 30, 9), ('WBC', 3, 3, 3, 3))
            )
            text(root / f'Annotations/{stem}.xml',
                 f'<annotation><size><width>16</width><height>12</height></size>{boxes}</annotation>')


def make_hit_uav(root: Path) -> None:
    for split in ('train', 'val'):
        picture(root / f'normal_json/{split}/0_1.jpg')
        text(root / f'normal_json/annotations/{split}.json', {
            'images': [{'filename': '0_1.jpg', 'width': 16, 'height': 12, 'id': 7}],
            'annotation': [{'id': 0, 'image_id': 7, 'category_id': 0, 'bbox': [1, 1, 4, 4]},
                           {'id': 1, 'image_id': 7, 'category_id': 1, 'bbox': [2, 2, 4, 4]}],
            'categories': [{'id': 0, 'name': 'Person'}, {'id': 1, 'name': 'DontCare'}],
        })


def make_dsb2018_nuclei(root: Path) -> None:
    for split, stem in (('train', 'aa'), ('val', 'bb')):
        text(root / f'splits/{split}.txt', stem)
        picture(root / f'images/{stem}.png')
        mask(root / f'labels/{stem}.png', [0, 1, 2])
        ids = np.zeros((12, 16), np.uint16)
        ids[0:3, 0:4], ids[5:9, 5:9] = 1, 300
        (root / 'instances').mkdir(exist_ok=True)
        Image.fromarray(ids).save(root / f'instances/{stem}.png')


def make_dubai_aerial(root: Path) -> None:
    for split, stem, values in (('train', 'tile1_part001', [0, 4, 255]),
                                ('val', 'tile3_part001', [(60, 16, 152), (0, 0, 0), (226, 169, 41)])):
        text(root / f'splits/{split}.txt', stem)
        picture(root / f'images/{stem}.jpg')
        mask(root / f'labels/{stem}.png', values)


def make_cityscapes(root: Path) -> None:
    for split in ('train', 'val'):
        picture(root / f'leftImg8bit/{split}/ulm/ulm_000000_leftImg8bit.png')
        mask(root / f'gtFine/{split}/ulm/ulm_000000_gtFine_labelIds.png', [0, 3, *cityscapes.LABEL_IDS])


def make_loveda(root: Path) -> None:
    for split in ('Train', 'Val'):
        for domain in ('Rural', 'Urban'):
            picture(root / split / domain / 'images_png/5.png')
            mask(root / split / domain / 'masks_png/5.png', range(8))


def make_potsdam(root: Path) -> None:
    for patch in ('2_10', '7_13'):
        picture(root / f'2_Ortho_RGB/top_potsdam_{patch}_RGB.tif', (20, 26))
        mask(root / f'5_Labels_all/top_potsdam_{patch}_label.tif', [*isprs.PALETTE, (252, 255, 3)], (20, 26))


def make_vaihingen(root: Path) -> None:
    for area in (1, 2):
        picture(root / f'top/top_mosaic_09cm_area{area}.tif', (20, 26))
        mask(root / f'gts_eroded_for_participants/top_mosaic_09cm_area{area}_noBoundary.tif',
             [*isprs.PALETTE, (0, 0, 0)], (20, 26))


def make_isaid(root: Path) -> None:
    for split in ('train', 'val'):
        picture(root / split / 'images/P0001.png', (20, 26))
        mask(root / split / f'Semantic_masks/images/P0001{isaid.SUFFIX}', isaid.PALETTE, (20, 26))


def make_dota(root: Path) -> None:
    for split in ('train', 'val'):
        picture(root / split / 'images/P0001.png', (20, 26))
        text(root / split / 'labelTxt/P0001.txt',
             'imagesource:GoogleEarth\ngsd:0.1\n1 1 5 1 5 5 1 5 plane 0\n8 2 13 2 13 6 8 6 ship 0\n'
             '20 15 25 15 25 19 20 19 harbor 1\n')


def make_lvis(root: Path) -> None:
    categories = [{'id': 1, 'name': 'axe', 'frequency': 'r', 'image_count': 3},
                  {'id': 2, 'name': 'bag', 'image_count': 50}, {'id': 3, 'name': 'cup', 'frequency': 'f'}]
    for split, folder in (('train', 'train2017'), ('val', 'val2017')):
        picture(root / folder / '000001.jpg')
        text(root / f'lvis_v1_{split}.json', {
            'images': [{'id': 1, 'width': 16, 'height': 12, 'coco_url': f'coco/{folder}/000001.jpg',
                        'neg_category_ids': [2], 'not_exhaustive_category_ids': []}],
            'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 3, 3], 'area': 9}],
            'categories': categories,
        })


def make_hsdb_instrument(root: Path) -> None:
    for pool, name in (('real', 'real/train'), ('real', 'real/val'), ('syn', 'syn')):
        picture(root / pool / 'v1/0001.png')
        text(root / f'{name}.json', {
            'images': [{'id': 1, 'file_name': 'v1/0001.png', 'width': 16, 'height': 12}],
            'annotations': [{'id': 1, 'image_id': 1, 'category_id': 40, 'bbox': [1, 1, 4, 4], 'area': 16}],
            'categories': [{'id': 40, 'name': 'Suction Irrigation'}, {'id': 41, 'name': 'Specimenbag'},
                           {'id': 42, 'name': hsdb_instrument.CHOLEC[0]}],
        })


def make_spacenet_georef(root: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    data = np.random.default_rng(0).integers(0, 2000, (1, 24, 30), dtype=np.uint16)
    root.mkdir(parents=True, exist_ok=True)
    place = {'crs': 'EPSG:32616', 'transform': from_origin(1000, 2000, 0.5, 0.5)}
    shape = {'width': 30, 'height': 24, 'count': 1, 'dtype': 'uint16'}
    with rasterio.open(root / 'atlanta_pan_uint16.tif', 'w', driver='GTiff', **shape, **place) as raster:
        raster.write(data)
    mask(root / 'atlanta_buildings_mask.png', [0, 1], (24, 30))


LAYOUTS: dict[str, Callable[[Path], None]] = {
    name.removeprefix('make_'): function for name, function in list(globals().items()) if name.startswith('make_')
}
LAYOUTS.update(CHANGE_LAYOUTS)
LAYOUTS.update(POINT_FOLDERS)
