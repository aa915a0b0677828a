"""LoadSegMask: index, palette and colour masks, and what goes wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imbdense.data.readers.errors import LabelReadError
from imbdense.registry import TRANSFORMS

INDEX = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)
COLOURS = [(10, 0, 0), (0, 20, 0), (0, 0, 30)]


def load(path, record=None, **options):
    transform = TRANSFORMS.build({'type': 'imbdense.LoadSegMask', **options})
    return transform({'seg_map_path': str(path), 'seg_fields': [], **(record or {})})


def colour_image():
    table = np.zeros((256, 3), np.uint8)
    table[:3], table[255] = COLOURS, (9, 9, 9)
    return table[INDEX], table


def test_index_palette_and_colour_masks_give_the_same_indices(tmp_path):
    colours, table = colour_image()
    Image.fromarray(INDEX).save(tmp_path / 'grey.png')
    palette = Image.fromarray(INDEX, mode='P')
    palette.putpalette(table.ravel().tolist())
    palette.save(tmp_path / 'palette.png')
    Image.fromarray(colours).save(tmp_path / 'colour.png')
    for name in ('grey.png', 'palette.png'):
        out = load(tmp_path / name)
        assert (out['gt_seg_map'] == INDEX).all() and out['gt_seg_map'].dtype == np.uint8
        assert out['seg_fields'] == ['gt_seg_map']
    out = load(tmp_path / 'colour.png', palette=COLOURS, ignored_colors=[(9, 9, 9)])
    assert (out['gt_seg_map'] == INDEX).all()


def test_host_order_of_reduce_zero_label_and_label_map(tmp_path):
    Image.fromarray(INDEX).save(tmp_path / 'm.png')
    reduced = load(tmp_path / 'm.png', {'reduce_zero_label': True, 'label_map': {0: 5}})['gt_seg_map']
    assert reduced.tolist() == [[255, 5, 1], [1, 255, 5]]


def test_mistakes_name_the_file(tmp_path):
    colours, _ = colour_image()
    Image.fromarray(colours).save(tmp_path / 'colour.png')
    with pytest.raises(LabelReadError, match=r'colour\.png.*palette'):
        load(tmp_path / 'colour.png')
    with pytest.raises(LabelReadError, match=r'colour\.png.*colours that the palette lacks'):
        load(tmp_path / 'colour.png', palette=COLOURS)
    Image.fromarray(np.full((2, 2), 300, np.uint16)).save(tmp_path / 'wide.png')
    with pytest.raises(LabelReadError, match=r'wide\.png.*\[0, 255\]'):
        load(tmp_path / 'wide.png')
    whole = (tmp_path / 'colour.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LabelReadError, match=r'cut\.png'):
        load(tmp_path / 'cut.png')
