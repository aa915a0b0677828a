"""Objects cut out of arrays: boxes, masks, label maps, points, COCO segmentations."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.instance_bank import BankError, cut_instances, cut_points, cut_regions
from imbdense.data.instance_bank.segmentation_masks import decode_segmentation


def picture(height=40, width=50, bands=3, dtype=np.uint8):
    """Every pixel differs."""
    return np.arange(height * width * bands).reshape(height, width, bands).astype(dtype)


def test_boxes_and_masks():
    image = picture(dtype=np.uint16)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:14, 20:30] = 1
    boxes = [[15.5, 5, 35, 20], [0, 0, 4, 5.2], [45, 30, 60, 44]]
    masked, plain, cut = cut_instances(image, 'a.png', boxes, [2, 0, 1], [mask, None, None], [0.5, 0.25, 1.0])
    assert masked.box == (20, 10, 30, 14) and masked.window == (8, 18) and masked.mask.sum() == 40
    assert np.array_equal(masked.values, image[8:16, 18:32]) and masked.inner_box == (2, 2, 12, 6)
    assert (masked.klass, masked.score, masked.image, masked.source) == (2, 0.5, 'a.png', 'labelled')
    assert plain.mask is None and plain.window == (0, 0) and plain.inner_box == (0, 0, 4, 6)
    assert np.array_equal(plain.values, image[:8, :6])
    assert cut.box == (45, 30, 50, 40) and cut.values.shape == (12, 7, 3), 'clipped to the image'


def test_objects_without_area_or_too_small_are_left_out():
    image = picture()
    boxes = [[5, 5, 5, 9], [60, 5, 70, 9], [1, 1, 4, 4], [1, 1, 9, 9]]
    assert len(list(cut_instances(image, 'a', boxes, [0] * 4, min_area=10))) == 1
    assert not list(cut_instances(image, 'a', [[1, 1, 9, 9]], [0], [np.zeros((40, 50))]))
    assert not list(cut_instances(image, 'a', np.zeros((0, 4)), []))


def test_regions_of_a_label_map():
    label = np.zeros((40, 50), np.uint8)
    label[2:6, 2:6] = 1
    label[6:9, 6:9] = 1  # touches by a corner: one region
    label[20:24, 20:24] = 1
    label[30, 30:40] = 2
    label[:, 45:] = 255
    found = list(cut_regions(picture(), 'a', label, 3, min_area=5))
    assert [(item.klass, int(item.mask.sum())) for item in found] == [(1, 25), (1, 16), (2, 10)], 'ground is no object'
    first = found[0]
    assert first.box == (2, 2, 9, 9) and first.window == (0, 0) and first.values.shape == (11, 11, 3)
    rows, columns = np.nonzero(first.mask)
    assert (label[rows, columns] == 1).all()
    by_class = list(cut_regions(picture(), 'a', label, 3, min_area=[5, 20, 11]))
    assert [int(item.mask.sum()) for item in by_class] == [25]
    assert not list(cut_regions(picture(), 'a', np.full((40, 50), 255, np.uint8), 3))


def test_the_score_of_a_region_is_its_mean():
    label = np.zeros((20, 20), np.uint8)
    label[5:9, 5:9] = 1
    scores = np.linspace(0, 1, 400).reshape(20, 20)
    (found,) = cut_regions(picture(20, 20), 'a', label, 2, scores, source='pseudo')
    assert found.score == pytest.approx(scores[5:9, 5:9].mean()) and found.source == 'pseudo'


def test_points_in_turned_boxes():
    points = np.array([[0, 0, 0, 1], [1.9, 0, 0, 2], [0, 1.9, 0, 3], [0, 0, 3, 4]], np.float32)
    straight, turned = cut_points(points, 'f', [[0, 0, 0, 4, 1, 2, 0], [0, 0, 0, 4, 1, 2, np.pi / 2]], [0, 1])
    assert straight.values[:, 3].tolist() == [1, 2] and turned.values[:, 3].tolist() == [1, 3]
    assert not list(cut_points(points, 'f', [[9, 9, 9, 1, 1, 1, 0]], [0]))


def test_coco_segmentations():
    pytest.importorskip('pycocotools')
    polygon = decode_segmentation([[2, 1, 6, 1, 6, 4, 2, 4], [8, 8, 10, 8, 10, 10, 8, 10]], 12, 12, 'a')
    wanted = np.zeros((12, 12), bool)
    wanted[1:4, 2:6] = wanted[8:10, 8:10] = True
    assert np.array_equal(polygon, wanted)
    flat = wanted.ravel(order='F')
    edges = np.flatnonzero(np.diff(flat.astype(int))) + 1
    runs = np.diff([0, *edges, 144]).tolist()
    assert np.array_equal(decode_segmentation({'size': [12, 12], 'counts': runs}, 12, 12, 'a'), wanted)
    from pycocotools import mask as codec

    text = codec.encode(np.asfortranarray(wanted.astype(np.uint8)))
    assert np.array_equal(decode_segmentation(text, 12, 12, 'a'), wanted)
    assert np.array_equal(decode_segmentation({**text, 'counts': text['counts'].decode()}, 12, 12, 'a'), wanted)
    with pytest.raises(BankError, match=r'b\.png is 9 x 9'):
        decode_segmentation(text, 9, 9, 'b.png')
    with pytest.raises(BankError, match=r'b\.png: an instance mask cannot be decoded'):
        decode_segmentation([[1, 2, 3]], 9, 9, 'b.png')
