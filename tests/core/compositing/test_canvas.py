"""Canvas: what a paste changes, and the rules under which it is refused; against a whole-image composition."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.compositing import Canvas, Cutout, feathered_alpha


def square(size=10, value=200, klass=1, bands=3, dtype=np.uint8, feather=0):
    return Cutout(np.full((size, size, bands), value, dtype), np.ones((size, size), bool), klass, feather)


def box_masks(boxes, shape):
    masks = np.zeros((len(boxes), *shape), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    return masks


def test_hand_example():
    """A 4×4 object over the corner of an 8×8 one: IoU 4 / 76, 4 of 64 pixels covered, the tight box stays."""
    image, label = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)
    masks = box_masks([(2, 2, 10, 10)], (20, 20))
    canvas = Canvas(image, np.array([[2, 2, 10, 10]], np.float32), masks, label)
    assert canvas.paste(square(4, klass=7), 8, 8)
    assert canvas.boxes.tolist() == [[2, 2, 10, 10], [8, 8, 12, 12]]
    assert masks[0].sum() == 60 and not masks[0, 8:10, 8:10].any()
    assert (image[8:12, 8:12] == 200).all() and image.sum() == 16 * 3 * 200
    assert (label[8:12, 8:12] == 7).all() and (label == 7).sum() == 16


def test_covered_edge_makes_the_box_tight():
    masks = box_masks([(0, 0, 10, 40)], (50, 50))
    canvas = Canvas(np.zeros((50, 50, 1), np.uint8), np.array([[0, 0, 10, 40]], np.float32), masks)
    assert canvas.paste(Cutout(np.ones((3, 12, 1), np.uint8), np.ones((3, 12), bool), 0, 0), 0, 0)
    assert canvas.boxes[0].tolist() == [0, 3, 10, 40]


def compose(image, masks, label, cutouts, places, ignore):
    """The slow way: one whole-image mask per object."""
    whole = image.dtype.kind == 'u'
    image, masks, label = image.astype(np.float64), masks.copy(), label.copy()
    for cutout, (top, left) in zip(cutouts, places):
        alpha, solid = np.zeros(label.shape), np.zeros(label.shape, bool)
        values = np.zeros(image.shape)
        soft = feathered_alpha(cutout.mask, cutout.feather)
        for row in range(cutout.mask.shape[0]):
            for column in range(cutout.mask.shape[1]):
                y, x = top + row, left + column
                if 0 <= y < label.shape[0] and 0 <= x < label.shape[1] and label[y, x] != ignore:
                    alpha[y, x], solid[y, x] = soft[row, column], cutout.mask[row, column]
                    values[y, x] = cutout.values[row, column]
        image = (1 - alpha[..., None]) * image + alpha[..., None] * values
        image = np.rint(image) if whole else image
        masks[:, solid] = False
        label[solid] = cutout.klass
    return image, masks, label


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('bands', [1, 3, 8])
@pytest.mark.parametrize('feather', [0, 1, 3])
def test_equals_whole_image_composition(dtype, bands, feather):
    rng = np.random.default_rng(bands + feather)
    image = rng.integers(0, 250, (60, 70, bands)).astype(dtype) * (200 if dtype == np.uint16 else 1)
    label = rng.integers(0, 3, (60, 70)).astype(np.uint8)
    label[:, 30:33] = 255
    boxes = np.array([[0, 0, 30, 50], [35, 20, 69, 60]], np.float32)
    masks = box_masks(boxes.astype(int), (60, 70)) & (rng.random((2, 60, 70)) < 0.9)
    cutouts, places = [], []
    for top, left in ((5, 4), (-1, 25), (52, 40), (30, 60)):
        size = rng.integers(8, 11, 2)
        mask = rng.random(size) < 0.8
        mask[0], mask[:, 0], mask[-1], mask[:, -1] = True, True, True, True
        cutouts.append(Cutout(rng.integers(0, 250, (*size, bands)).astype(dtype), mask, 3, feather))
        places.append((top, left))
    expected = compose(image, masks, label, cutouts, places, 255)
    canvas = Canvas(image, boxes, masks, label)
    assert all(canvas.paste(cutout, *place) for cutout, place in zip(cutouts, places))
    gap = np.abs(image - expected[0])
    assert image.dtype == dtype and gap.max() <= (1e-4 if dtype == np.float32 else 1)
    assert dtype == np.float32 or (gap > 0).mean() < 1e-3, 'equal but for halves'
    assert np.array_equal(masks, expected[1]) and np.array_equal(label, expected[2])
    for box, mask in zip(canvas.boxes, masks):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    for item, box in zip(canvas.pasted, canvas.boxes[2:]):
        assert box.tolist() == [item.left, item.top, item.left + item.mask.shape[1], item.top + item.mask.shape[0]]


def test_ignored_pixels_are_never_pasted_over():
    label = np.zeros((40, 40), np.uint8)
    label[:, 18:22] = 255
    image = np.zeros((40, 40, 3), np.uint8)
    canvas = Canvas(image, label=label)
    assert canvas.paste(square(20, feather=2), 10, 10)
    assert (label[:, 18:22] == 255).all() and not image[:, 18:22].any()
    assert (label == 1).sum() == 20 * 16
    assert not canvas.paste(square(4), 0, 18), 'wholly under ignored pixels'


@pytest.mark.parametrize(('left', 'accepted'), [(-5, True), (-6, False), (45, True), (46, False)])
def test_half_of_the_object_must_be_inside(left, accepted):
    image = np.zeros((50, 50, 1), np.uint8)
    assert Canvas(image).paste(square(10, bands=1), 20, left) is accepted
    assert image.any() == accepted


@pytest.mark.parametrize(('size', 'accepted'), [(2, True), (3, True), (4, False)])
def test_overlap_rule_is_an_iou_of_a_tenth(size, accepted):
    """Boxes of size² inside a 10² box: IoU .04, .09, .16."""
    canvas = Canvas(np.zeros((30, 30, 1), np.uint8), np.array([[5, 5, 15, 15]], np.float32))
    assert canvas.paste(square(size, bands=1), 7, 7) is accepted
    assert len(canvas.boxes) == 1 + accepted


@pytest.mark.parametrize('masked', [True, False])
def test_half_of_a_covered_object_must_remain_over_several_pastes(masked):
    """A 4×4 object (16 pixels) under large, thin ones: each covers 4 of its pixels; the third would leave 4."""
    boxes = np.array([[20, 20, 24, 24]], np.float32)
    canvas = Canvas(np.zeros((60, 60, 1), np.uint8), boxes, box_masks([(20, 20, 24, 24)], (60, 60)) if masked else None)
    line = Cutout(np.ones((1, 60, 1), np.uint8), np.ones((1, 60), bool), 0, 0)
    assert canvas.paste(line, 20, 0) and canvas.paste(line, 21, 0)
    before = canvas.image.copy()
    assert not canvas.paste(line, 22, 0)
    assert np.array_equal(before, canvas.image) and len(canvas.pasted) == 2
    assert canvas.paste(line, 30, 0)
    assert canvas.boxes[0].tolist() == ([20, 22, 24, 24] if masked else [20, 20, 24, 24])


def test_pasted_objects_are_protected_too():
    canvas = Canvas(np.zeros((60, 60, 1), np.uint8))
    assert canvas.paste(square(4, bands=1), 20, 20)
    line = Cutout(np.ones((1, 60, 1), np.uint8), np.ones((1, 60), bool), 0, 0)
    assert canvas.paste(line, 20, 0) and canvas.paste(line, 23, 0) and not canvas.paste(line, 21, 0)
    assert canvas.pasted[0].mask.sum() == 8 and canvas.boxes[0].tolist() == [20, 21, 24, 23]


@pytest.mark.parametrize('size', [(3, 3), (1, 40), (7, 40)])
def test_image_smaller_than_the_crop(size):
    image = np.zeros((*size, 1), np.uint8)
    canvas = Canvas(image, label=np.zeros(size, np.uint8))
    assert not canvas.paste(square(40, bands=1), 0, 0) and not image.any()


def test_no_pixel_and_outside():
    canvas = Canvas(np.zeros((9, 9, 1), np.uint8))
    assert not canvas.paste(Cutout(np.ones((3, 3, 1), np.uint8), np.zeros((3, 3), bool), 0), 2, 2)
    assert not canvas.paste(square(3, bands=1), 20, 2) and not canvas.paste(square(3, bands=1), 2, -3)


def test_errors_name_the_array():
    image = np.zeros((9, 9, 1), np.uint8)
    with pytest.raises(ValueError, match='label has shape'):
        Canvas(image, label=np.zeros((8, 9), np.uint8))
    with pytest.raises(ValueError, match='masks has shape'):
        Canvas(image, np.zeros((2, 4), np.float32), np.zeros((1, 9, 9), bool))
    with pytest.raises(ValueError, match='C-contiguous'):
        Canvas(np.zeros((9, 9, 3), np.uint8)[:, ::2])
