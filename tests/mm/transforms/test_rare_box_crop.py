"""RareBoxCrop: the hit rate, what becomes of cut boxes and masks, its declared effect."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmdet')

from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.logging import MessageHub

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.mm.prior import HUB_COUNTS, ImageObjects, PriorContext, load_objects
from imbdense.mm.transforms.rare_box_crop import visible_part
from imbdense.registry import TRANSFORMS


def build(**options):
    return TRANSFORMS.build({'type': 'imbdense.RareBoxCrop', **options})


def sample(boxes, labels, size=(200, 300), ignored=None, **more):
    """A sample whose image holds its row in channel 0 and its column in channel 1."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.stack([rows, columns, rows], -1).astype(np.int32)
    flags = np.zeros(len(labels), bool) if ignored is None else np.array(ignored)
    return {
        'img': image,
        'img_shape': size,
        'gt_bboxes': HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4)),
        'gt_bboxes_labels': np.array(labels, np.int64),
        'gt_ignore_flags': flags,
        **more,
    }


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.mark.parametrize('rate', [0.0, 0.3, 0.5, 1.0])
def test_hit_rate_is_the_asked_rate(rate):
    """One small rare object in a large image: uniform crops of 20 pixels hold its centre in 0.2 % of the cases."""
    crop = build(crop_size=20, rate=rate, classes=[1], class_counts=[100, 1])
    boxes = [[350, 300, 354, 304], *([[i, i, i + 8, i + 8] for i in range(0, 100, 10)])]
    trials, hits = 4000, 0
    record = sample(boxes, [1] + [0] * 10, size=(400, 400))
    for _ in range(trials):
        top, left, height, width = crop.crop_window(record)
        hits += top <= 302 < top + height and left <= 352 < left + width
    assert hits / trials == pytest.approx(rate, abs=0.02)


def test_image_and_boxes_move_together_and_the_target_is_kept():
    crop = build(crop_size=(40, 60), rate=1.0, classes=[2])
    for _ in range(50):
        out = crop(sample([[10, 20, 30, 40], [250, 150, 290, 190]], [0, 2]))
        assert out['img'].shape == (40, 60, 3) and out['img_shape'] == (40, 60)
        top, left = out['img'][0, 0, :2]
        boxes, labels = out['gt_bboxes'].tensor.numpy(), out['gt_bboxes_labels']
        assert 2 in labels.tolist()
        box = boxes[labels.tolist().index(2)] + [left, top, left, top]
        expected = np.clip([250, 150, 290, 190], [left, top] * 2, [left + 60, top + 40] * 2)
        assert np.allclose(box, expected)
        assert np.allclose(out['homography_matrix'] @ [left, top, 1], [0, 0, 1])


def test_a_sliver_is_ignored_and_what_lies_outside_is_dropped():
    crop = build(crop_size=100, rate=1.0, classes=[1], min_visible=0.5)
    crop.crop_window = lambda results: (0, 0, 100, 100)
    out = crop(sample([[10, 10, 30, 30], [95, 10, 115, 30], [150, 150, 170, 170], [40, 40, 50, 50]], [1, 0, 0, 0],
                      ignored=[False, False, False, True]))
    assert out['gt_bboxes'].tensor.tolist() == [[10, 10, 30, 30], [95, 10, 100, 30], [40, 40, 50, 50]]
    assert out['gt_ignore_flags'].tolist() == [False, True, True]
    assert out['gt_bboxes_labels'].tolist() == [1, 0, 0]


@pytest.mark.parametrize('kind', ['bitmap', 'polygon'])
def test_masks_are_cut_with_their_boxes(kind):
    boxes = [[10, 10, 30, 30], [90, 90, 120, 120], [200, 150, 220, 170]]
    whole = np.zeros((3, 200, 300), np.uint8)
    for mask, (x, y, right, bottom) in zip(whole, boxes):
        mask[y:bottom, x:right] = 1
    outlines = [[np.array([x, y, r, y, r, b, x, b], float)] for x, y, r, b in boxes]
    masks = BitmapMasks(whole, 200, 300) if kind == 'bitmap' else PolygonMasks(outlines, 200, 300)
    crop = build(crop_size=100)
    crop.crop_window = lambda results: (5, 5, 100, 100)
    out = crop(sample(boxes, [0, 1, 2], gt_masks=masks))
    assert out['gt_bboxes_labels'].tolist() == [0, 1]
    assert out['gt_masks'].masks.shape == (2, 100, 100)
    assert np.allclose(out['gt_bboxes'].tensor.numpy(), [[5, 5, 25, 25], [85, 85, 100, 100]], atol=1)


def test_small_images_are_padded_and_images_without_objects_cropped_uniformly():
    out = build(crop_size=(50, 40), rate=1.0, pad_val=9)(sample([], [], size=(30, 100)))
    assert out['img'].shape == (50, 40, 3) and (out['img'][30:] == 9).all()
    assert out['gt_bboxes'].tensor.shape == (0, 4) and out['gt_ignore_flags'].shape == (0,)
    lefts = {int(build(crop_size=10, rate=1.0)(sample([], []))['img'][0, 0, 1]) for _ in range(40)}
    assert len(lefts) > 20


def test_ignored_objects_are_no_target():
    crop = build(crop_size=20, rate=1.0)
    record = sample([[100, 100, 104, 104], [10, 10, 14, 14]], [0, 0], ignored=[True, False])
    for _ in range(30):
        top, left, height, width = crop.crop_window(record)
        assert top <= 12 < top + height and left <= 12 < left + width


def test_tail_comes_from_the_published_object_counts():
    crop = build(crop_size=20, rate=1.0, classes='tail')
    record = sample([[100, 100, 104, 104], [10, 10, 14, 14]], [0, 2])
    with pytest.raises(ValueError, match=r'RareBoxCrop.*needs the class counts'):
        crop.crop_window(record)
    hub = MessageHub.get_current_instance()
    hub.update_info(HUB_COUNTS, ClassCounts(('a', 'b', 'c'), instances=np.array([900, 500, 3])).to_dict())
    try:
        for _ in range(20):
            top, left, _, _ = crop.crop_window(record)
            assert top <= 12 and left <= 12
    finally:
        hub.runtime_info.pop(HUB_COUNTS)


@pytest.mark.parametrize(
    ('record', 'message'),
    [
        ({'img': np.zeros((4, 4, 3))}, 'no gt_bboxes'),
        (sample([], []) | {'gt_bboxes': np.zeros((2, 5))}, 'axis-aligned'),
    ],
)
def test_samples_it_cannot_crop_are_refused(record, message):
    with pytest.raises(ValueError, match=message):
        build(crop_size=4)(record)


def test_an_argument_out_of_range_is_named():
    with pytest.raises(ValueError, match='min_visible'):
        build(crop_size=4, min_visible=2)


def test_declared_effect_equals_what_crops_leave():
    rng = np.random.default_rng(1)
    images = []
    for _ in range(12):
        count = rng.integers(2, 9)
        corner = rng.integers(0, 180, (count, 2))
        boxes = np.concatenate([corner, corner + rng.integers(4, 20, (count, 2))], 1).astype(np.float32)
        images.append(ImageObjects(boxes, np.sort(rng.choice(3, count, p=[0.8, 0.15, 0.05])), (200, 200)))
    dense = np.stack([np.bincount(image.labels, minlength=3) for image in images])
    context = PriorContext(ImageClassTable.from_dense(dense), np.ones(12), None, images.__getitem__, 0)
    crop = build(crop_size=64, rate=1.0, power=1.0)
    declared = crop.prior_effect(context)
    seen, counts, rounds = np.zeros(3), dense.sum(0).astype(float), 300
    for _ in range(rounds):
        for image in images:
            share = visible_part(image.boxes, crop.window_in(image, rng, counts))[1]
            seen += np.bincount(image.labels[(share > 0) & (share >= 0.1)], minlength=3)
    assert declared / declared.sum() == pytest.approx(seen / seen.sum(), abs=0.03)
    assert declared / declared.sum() != pytest.approx(counts / counts.sum(), abs=0.03)


def test_objects_of_a_data_set_leave_out_the_ignored():
    class Images:
        def get_data_info(self, index):
            instances = [{'bbox': [1, 2, 3, 4], 'bbox_label': 1, 'ignore_flag': 0},
                         {'bbox': [5, 5, 9, 9], 'bbox_label': 0, 'ignore_flag': 1}]
            return {'instances': instances, 'height': 10, 'width': 20}

    objects = load_objects(Images(), 0)
    assert objects.boxes.tolist() == [[1, 2, 3, 4]] and objects.labels.tolist() == [1] and objects.shape == (10, 20)
    with pytest.raises(TypeError, match='no detection data set'):
        load_objects(type('Labels', (), {'get_data_info': lambda self, index: {}})(), 0)
