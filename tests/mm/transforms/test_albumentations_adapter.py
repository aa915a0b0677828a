"""AlbumentationsAdapter: label maps, boxes, masks, flags stay together; ignore outside; host seeding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks

from imbdense.registry import TRANSFORMS


def build(*transforms, **options):
    return TRANSFORMS.build({'type': 'imbdense.AlbumentationsAdapter', 'transforms': list(transforms), **options})


def objects(size=100):
    """Three rectangles with ids 1 to 3, drawn into image, label and instance masks."""
    boxes = np.array([[10, 20, 30, 50], [60, 60, 95, 90], [1, 1, 6, 4]], np.float32)
    label = np.zeros((size, size), np.uint8)
    masks = np.zeros((3, size, size), np.uint8)
    for i, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        label[y1:y2, x1:x2] = i + 1
        masks[i, y1:y2, x1:x2] = 1
    return boxes, label, masks


def detection_sample(with_masks=True, size=100):
    boxes, label, masks = objects(size)
    sample = {
        'img': np.repeat(label[..., None] * 50, 3, axis=2), 'gt_seg_map': label, 'seg_fields': ['gt_seg_map'],
        'gt_bboxes': HorizontalBoxes(boxes), 'gt_bboxes_labels': np.array([4, 5, 6]),
        'gt_ignore_flags': np.array([False, True, False]),
    }
    if with_masks:
        sample['gt_masks'] = BitmapMasks(masks, size, size)
    return sample


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


def test_rotation_keeps_boxes_masks_labels_and_flags_together():
    rotate = build({'type': 'Rotate', 'limit': (30, 60), 'p': 1.0})
    for _ in range(10):
        out = rotate(detection_sample())
        n = len(out['gt_bboxes'])
        assert len(out['gt_bboxes_labels']) == len(out['gt_ignore_flags']) == len(out['gt_masks']) == n
        for box, mask, klass, ignored in zip(
            out['gt_bboxes'].tensor.numpy(), out['gt_masks'].masks, out['gt_bboxes_labels'], out['gt_ignore_flags']
        ):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert set(np.unique(out['gt_seg_map'][mask == 1])) == {klass - 3}, 'mask and label map moved alike'
            assert ignored == (klass == 5)
        assert (out['gt_seg_map'] == 255).any(), 'corners from outside the image are ignored'
        assert set(np.unique(out['gt_seg_map'])) <= {0, 1, 2, 3, 255}, 'nearest neighbour: no mixed labels'
        assert set(np.unique(out['gt_masks'].masks)) <= {0, 1}


def test_crop_clips_boxes_and_drops_the_objects_outside():
    crop = build({'type': 'Crop', 'x_min': 20, 'y_min': 0, 'x_max': 80, 'y_max': 100})
    for with_masks in (True, False):
        out = crop(detection_sample(with_masks))
        assert np.allclose(out['gt_bboxes'].tensor, [[0, 20, 10, 50], [40, 60, 60, 90]], atol=1e-4)
        assert out['gt_bboxes_labels'].tolist() == [4, 5] and out['gt_ignore_flags'].tolist() == [False, True]
        assert out['img_shape'] == (100, 60) == out['gt_seg_map'].shape
        if with_masks:
            assert out['gt_masks'].masks.sum(axis=(1, 2)).tolist() == [300, 600]


def test_least_visibility_and_area():
    crop = {'type': 'Crop', 'x_min': 27, 'y_min': 0, 'x_max': 100, 'y_max': 100}
    assert build(crop)(detection_sample(False))['gt_bboxes_labels'].tolist() == [4, 5]
    assert build(crop, min_visibility=0.2)(detection_sample(False))['gt_bboxes_labels'].tolist() == [5]
    assert build(crop, min_area=100)(detection_sample(False))['gt_bboxes_labels'].tolist() == [5]


def test_every_object_lost_leaves_empty_fields_of_the_right_shape():
    crop = build({'type': 'Crop', 'x_min': 0, 'y_min': 92, 'x_max': 100, 'y_max': 100})
    for with_masks in (True, False):
        out = crop(detection_sample(with_masks))
        assert out['gt_bboxes'].tensor.shape == (0, 4) and out['gt_bboxes_labels'].shape == (0,)
        assert out['gt_ignore_flags'].dtype == bool and isinstance(out['gt_bboxes'], HorizontalBoxes)
        if with_masks:
            assert out['gt_masks'].masks.shape == (0, 8, 100)
    empty = {key: out[key] for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags')}
    again = crop({**detection_sample(), **empty, 'gt_masks': BitmapMasks(np.zeros((0, 100, 100)), 100, 100)})
    assert len(again['gt_bboxes']) == 0 and len(again['gt_masks']) == 0


def test_polygons_become_bitmaps_and_plain_arrays_stay_arrays():
    sample = detection_sample()
    sample['gt_masks'] = PolygonMasks([[np.array([x1, y1, x2, y1, x2, y2, x1, y2], dtype=float)] for x1, y1, x2, y2 in
                                       objects()[0]], 100, 100)
    sample['gt_bboxes'] = sample['gt_bboxes'].tensor.numpy()
    out = build({'type': 'HorizontalFlip', 'p': 1.0})(sample)
    assert isinstance(out['gt_masks'], BitmapMasks) and isinstance(out['gt_bboxes'], np.ndarray)
    assert np.allclose(out['gt_bboxes'][0], [70, 20, 90, 50], atol=1)


@pytest.mark.parametrize('border, ignored', [(cv2.BORDER_CONSTANT, True), (cv2.BORDER_REFLECT_101, False)])
def test_outside_is_ignored_but_a_mirrored_border_keeps_its_mirrored_label(border, ignored):
    shift = build({'type': 'Affine', 'translate_px': (40, 40), 'p': 1.0, 'border_mode': border})
    out = shift(detection_sample(False))
    assert (out['gt_seg_map'] == 255).any() == ignored
    if ignored:
        assert (out['gt_seg_map'][:, :40] == 255).all() and (out['gt_seg_map'][40:, 40:] != 255).all()


def test_float_and_wide_integer_maps_keep_dtype_and_values():
    _, label, _ = objects()
    sample = {
        'img': np.zeros((100, 100, 3), np.uint8), 'seg_fields': ['gt_seg_map', 'gt_depth_map', 'gt_ids'],
        'gt_seg_map': label, 'gt_depth_map': np.full((100, 100), 2.5, np.float32),
        'gt_ids': label.astype(np.int64) + 2**33,
    }
    out = build({'type': 'PadIfNeeded', 'min_height': 120, 'min_width': 120})(sample)
    assert out['gt_depth_map'].dtype == np.float32 and set(np.unique(out['gt_depth_map'])) == {0, 2.5}
    assert out['gt_ids'].dtype == np.int64
    inside = out['gt_seg_map'] != 255
    assert (out['gt_ids'][inside] == out['gt_seg_map'][inside].astype(np.int64) + 2**33).all()
    assert inside.sum() == 100 * 100


def test_colour_transforms_leave_labels_alone():
    before = detection_sample()
    out = build({'type': 'RandomBrightnessContrast', 'p': 1.0})(detection_sample())
    assert (out['gt_seg_map'] == before['gt_seg_map']).all() and (out['img'] != before['img']).any()
    assert out['gt_bboxes'].tensor.tolist() == before['gt_bboxes'].tensor.tolist()


def test_seed_of_the_host_decides_also_in_nested_transforms():
    choices = [{'type': 'Rotate', 'limit': 45}, {'type': 'VerticalFlip'}]
    pipeline = build({'type': 'OneOf', 'transforms': choices, 'p': 1.0})

    def run(seed):
        np.random.seed(seed)
        return np.stack([pipeline(detection_sample())['gt_seg_map'] for _ in range(4)])

    assert (run(1) == run(1)).all() and (run(1) != run(2)).any()


def test_segmentation_sample_without_boxes():
    _, label, _ = objects()
    out = build({'type': 'Transpose', 'p': 1.0})(
        {'img': np.repeat(label[..., None], 3, axis=2), 'gt_seg_map': label, 'seg_fields': ['gt_seg_map']}
    )
    assert (out['gt_seg_map'] == label.T).all() and 'gt_bboxes' not in out


def test_mistakes_are_told():
    with pytest.raises(ValueError, match=r'Did you mean.*Rotate'):
        build({'type': 'Rotat'})
    with pytest.raises(TypeError, match='limt'):
        build({'type': 'Rotate', 'limt': 3})
    with pytest.raises(ValueError, match='axis-aligned'):
        sample = detection_sample(False)
        sample['gt_bboxes'] = np.zeros((1, 5))
        build({'type': 'HorizontalFlip'})(sample)
