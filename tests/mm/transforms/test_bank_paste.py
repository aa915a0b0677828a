"""BankPaste in the hosts' pipelines: equal quotas, what becomes of boxes, masks and label maps, its declared effect."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
from mmengine.logging import MMLogger

from imbdense.core.stats import ImageClassTable
from imbdense.data.instance_bank import BankError, BankObject, InstanceBank
from imbdense.mm.prior import ImageObjects, PriorContext
from imbdense.registry import TRANSFORMS

CLASSES = ('ground', 'car', 'mast')


def item(klass, size=8, *, bands=3, dtype=np.uint8, masked=True, value=None):
    """A square of brightness 50 + 50 * class with two pixels of context, on black."""
    values = np.zeros((size + 4, size + 4, bands), dtype)
    values[2:-2, 2:-2] = 50 + 50 * klass if value is None else value
    mask = np.zeros((size + 4, size + 4), bool)
    mask[2:-2, 2:-2] = True
    return BankObject(values, klass, f'{klass}-{size}.png', (2, 2, 2 + size, 2 + size), mask=mask if masked else None)


def make_bank(folder, objects, classes=CLASSES):
    bank = InstanceBank.create(folder, classes)
    writer = bank.start_round({})
    writer.write('all', objects)
    writer.finish()
    return str(folder)


@pytest.fixture
def bank(tmp_path):
    return make_bank(tmp_path / 'bank', [item(1), item(1, 10), item(2, 6)])


def build(bank, **options):
    return TRANSFORMS.build({'type': 'imbdense.BankPaste', 'bank': bank, 'scale': (1.0, 1.0), 'feather': 0, **options})


def seg_sample(size=(100, 120), bands=3, dtype=np.uint8):
    label = np.zeros(size, np.uint8)
    label[:20] = 255
    return {'img': np.zeros((*size, bands), dtype), 'gt_seg_map': label, 'seg_fields': ['gt_seg_map']}


def det_sample(boxes, labels, size=(100, 120), masks=None):
    from mmdet.structures.bbox import HorizontalBoxes

    return {
        'img': np.zeros((*size, 3), np.uint8),
        'gt_bboxes': HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4)),
        'gt_bboxes_labels': np.array(labels, np.int64),
        'gt_ignore_flags': np.zeros(len(labels), bool),
        **({} if masks is None else {'gt_masks': masks}),
    }


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.fixture
def warnings_seen():
    """What is logged as a warning."""
    lines = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_image_and_label_change_together_and_ignored_pixels_never(bank):
    paste = build(bank, quota=3)
    for _ in range(30):
        out = paste(seg_sample())
        label, image = out['gt_seg_map'], out['img']
        assert (label[:20] == 255).all() and not image[:20].any()
        assert {0, 1, 2, 255} >= set(np.unique(label).tolist())
        assert np.array_equal(image[..., 0], np.choose(label % 255, [0, 100, 150]).astype(np.uint8))
        assert (label == 1).any() and (label == 2).any()


def test_the_sample_that_was_given_stays_as_it_is(bank):
    sample = seg_sample()
    image, label = sample['img'], sample['gt_seg_map']
    out = build(bank)(sample)
    assert out['img'].any() and not image.any() and set(np.unique(label).tolist()) == {0, 255}


def test_every_class_gets_the_same_quota(bank, tmp_path):
    """Thirty objects of one class and one of another: equal draws within 10 % (here exactly)."""
    many = make_bank(tmp_path / 'many', [*(item(1, 4, value=v) for v in range(60, 90)), item(2, 4)])
    paste, rng = build(many, quota=2), np.random.default_rng(0)
    drawn = np.bincount([cut.klass for _ in range(200) for cut in paste.draw(rng)], minlength=3)
    assert drawn.tolist() == [0, 400, 400]
    paste = build(many, quota=0.25)
    drawn = np.bincount([cut.klass for _ in range(2000) for cut in paste.draw(rng)], minlength=3)
    assert drawn[0] == 0 and np.abs(drawn[1:] - 500).max() < 70
    assert {cut.klass for _ in range(20) for cut in build(many, classes=[2]).draw(rng)} == {2}


@pytest.mark.parametrize('bands', [1, 3, 8])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_any_bands_and_number_type(tmp_path, bands, dtype):
    folder = make_bank(tmp_path / 'bank', [item(1, bands=bands, dtype=dtype)])
    out = build(folder, feather=1, scale=(0.8, 1.2))(seg_sample(bands=bands, dtype=dtype))
    assert out['img'].dtype == dtype and out['img'].shape == (100, 120, bands)
    assert out['img'].max() == pytest.approx(100) and (out['img'][out['gt_seg_map'] == 1] >= 49).all()


def test_grey_images_without_a_band_axis(tmp_path):
    sample = seg_sample(bands=1)
    sample['img'] = sample['img'][..., 0]
    out = build(make_bank(tmp_path / 'bank', [item(1, bands=1)]))(sample)
    assert out['img'].shape == (100, 120) and np.array_equal(out['img'] == 100, out['gt_seg_map'] == 1)


def test_boxes_labels_and_flags(bank):
    pytest.importorskip('mmdet')
    paste = build(bank, quota=2)
    for _ in range(20):
        out = paste(det_sample([[10, 10, 40, 40], [60, 50, 100, 90]], [1, 0]))
        boxes, labels = out['gt_bboxes'].tensor.numpy(), out['gt_bboxes_labels']
        assert boxes[:2].tolist() == [[10, 10, 40, 40], [60, 50, 100, 90]] and len(boxes) == len(labels) > 2
        assert len(out['gt_ignore_flags']) == len(labels) and not out['gt_ignore_flags'].any()
        for (x1, y1, x2, y2), klass in zip(boxes[2:].astype(int), labels[2:]):
            assert (out['img'][y1:y2, x1:x2] == 50 + 50 * klass).mean() > 0.5


@pytest.mark.parametrize('kind', ['bitmap', 'polygon'])
def test_instance_masks(bank, kind):
    pytest.importorskip('mmdet')
    from mmdet.structures.mask import BitmapMasks, PolygonMasks

    if kind == 'bitmap':
        stack = np.zeros((1, 100, 120), np.uint8)
        stack[0, 10:90, 10:110] = 1
        masks = BitmapMasks(stack, 100, 120)
    else:
        masks = PolygonMasks([[np.array([10, 10, 110, 10, 110, 90, 10, 90], float)]], 100, 120)
    out = build(bank, quota=2)(det_sample([[10, 10, 110, 90]], [0], masks=masks))
    found, boxes = out['gt_masks'].masks, out['gt_bboxes'].tensor.numpy()
    assert len(found) == len(boxes) == len(out['gt_bboxes_labels']) > 1 and found.dtype == np.uint8
    assert found.sum(axis=0).max() == 1, 'visible parts do not overlap'
    assert found[0].sum() < 8000 and np.array_equal(found[1:].any(axis=0), out['img'][..., 0] > 0)
    assert np.array_equal(out['gt_masks'].get_bboxes(type(out['gt_bboxes'])).tensor.numpy(), boxes)


def test_boxes_without_masks_get_a_soft_border(tmp_path):
    pytest.importorskip('mmdet')
    folder = make_bank(tmp_path / 'bank', [item(2, 12, masked=False)])
    out = build(folder)(det_sample(np.zeros((0, 4)), []))
    (x1, y1, x2, y2), = out['gt_bboxes'].tensor.numpy().astype(int)
    assert out['gt_bboxes_labels'].tolist() == [2] and max(x2 - x1, y2 - y1) == 12
    values = np.unique(out['img'])
    assert values.max() == 150 and len(values) > 4


def test_a_class_without_object_is_skipped_with_one_warning(bank, warnings_seen):
    paste = build(bank)
    for _ in range(3):
        paste(seg_sample())
    assert len(warnings_seen) == 1 and 'no object of ground' in warnings_seen[0]


def test_an_empty_bank_changes_nothing(tmp_path, warnings_seen):
    paste = build(make_bank(tmp_path / 'bank', []))
    out = paste(seg_sample())
    assert not out['img'].any() and len(warnings_seen) == 1
    InstanceBank.create(tmp_path / 'started', CLASSES)
    assert not build(str(tmp_path / 'started'))(seg_sample())['img'].any(), 'no round yet'


def test_image_smaller_than_the_crop(tmp_path):
    paste = build(make_bank(tmp_path / 'bank', [item(1, 60)]))
    out = paste({'img': np.zeros((30, 200, 3), np.uint8), 'gt_seg_map': np.zeros((30, 200), np.uint8)})
    assert out['img'].shape == (30, 200, 3) and (out['gt_seg_map'] == 1).sum() in (0, 1800)
    small = paste({'img': np.zeros((9, 9, 3), np.uint8), 'gt_seg_map': np.zeros((9, 9), np.uint8)})
    assert not small['gt_seg_map'].any()


def test_the_hosts_seed_decides_and_a_copy_in_a_worker_draws_the_same(bank):
    paste = build(bank, quota=2)

    def run(transform):
        np.random.seed(5)
        return np.stack([transform(seg_sample())['gt_seg_map'] for _ in range(4)])

    first = run(paste)
    assert np.array_equal(first, run(paste)) and np.array_equal(first, run(pickle.loads(pickle.dumps(paste))))


def test_a_hook_sets_the_round(bank):
    writer = InstanceBank.open(bank).start_round({})
    writer.write('more', [item(0, 7)])
    writer.finish()
    paste, rng = build(bank, rounds='latest'), np.random.default_rng(0)
    assert [cut.klass for cut in paste.draw(rng)] == [0]
    paste.set_round(0)
    assert [cut.klass for cut in paste.draw(rng)] == [1, 2]
    paste.set_round(1, quota=3)
    assert [cut.klass for cut in paste.draw(rng)] == [0, 0, 0]
    assert [cut.klass for cut in build(bank, rounds='first').draw(rng)] == [1, 2]
    assert [cut.klass for cut in build(bank).draw(rng)] == [0, 1, 2]


def test_declared_effect_on_pixels_is_what_pastes_give(bank):
    labels = []
    for image in range(30):
        label = np.zeros((60, 60), np.uint8)
        label[40:, :20] = 255
        if image % 10 == 0:
            label[5:15, 5:15] = 1
        labels.append(label)
    dense = np.array([[(label == c).sum() for c in range(3)] for label in labels])
    draws = np.where(dense[:, 1] > 0, 4.0, 1.0)
    paste = build(bank, quota=2)
    context = PriorContext(ImageClassTable.from_dense(dense), draws, labels.__getitem__, no_objects, 0)
    declared = paste.prior_effect(context)
    measured = np.zeros(3)
    for label, draw in zip(labels, draws):
        for _ in range(20):
            out = paste({'img': np.zeros((60, 60, 3), np.uint8), 'gt_seg_map': label})
            measured += np.bincount(out['gt_seg_map'].ravel(), minlength=256)[:3] * draw / 20
    assert np.allclose(declared, measured, rtol=0.08)
    assert (declared == paste.prior_effect(context)).all(), 'the estimate has its own seed'
    assert declared[2] > 100 * draws.sum() * 0.2


def no_objects(index):
    raise TypeError('a segmentation data set')


def test_declared_effect_on_objects(bank):
    objects = [ImageObjects(np.array([[5, 5, 40, 40]], np.float32), np.array([1]), (80, 80))] * 12
    table = ImageClassTable.from_dense(np.array([[0, 1, 0]] * 12))
    context = PriorContext(table, np.full(12, 2.0), None, objects.__getitem__, 0)
    declared = build(bank, quota=1).prior_effect(context)
    assert declared == pytest.approx([0, 48, 24], rel=0.06), '24 images: one more of each class that the bank has'
    wrong = ImageClassTable.from_dense(np.ones((12, 2), int))
    with pytest.raises(ValueError, match='3 classes, the data set 2'):
        build(bank).prior_effect(PriorContext(wrong, np.ones(12), None, objects.__getitem__, 0))


def test_errors_name_the_mistake(bank, tmp_path):
    with pytest.raises(BankError, match='imbdense generate bank'):
        build(str(tmp_path / 'none'))(seg_sample())
    with pytest.raises(ValueError, match=r'uint16 .*holds uint8 with 3 bands'):
        build(bank)(seg_sample(dtype=np.uint16))
    with pytest.raises(ValueError, match='with 3 bands'):
        build(bank)(seg_sample(bands=4))
    with pytest.raises(ValueError, match='after the annotations'):
        build(bank)({'img': np.zeros((9, 9, 3), np.uint8)})
    with pytest.raises(ValueError, match='gt_depth_map'):
        build(bank)({**seg_sample(), 'seg_fields': ['gt_seg_map', 'gt_depth_map']})
    with pytest.raises(ValueError, match=r'classes \[3\] for a bank of 3'):
        build(bank, classes=[3])(seg_sample())
    for option, wrong in (('quota', -1), ('flips', ['diagonal']), ('scale', (1.2, 0.8)), ('scale', (0, 1)),
                          ('feather', -1), ('rounds', 'newest'), ('classes', [-1])):
        with pytest.raises(ValueError, match=option):
            build(bank, **{option: wrong})
