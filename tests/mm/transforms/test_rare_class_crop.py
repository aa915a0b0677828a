"""RareClassCrop: the hit rate, borders, small images, flips and resizes, its declared effect."""

from __future__ import annotations

import numpy as np
import pytest
from mmcv.transforms import RandomFlip, Resize
from mmengine.logging import MessageHub

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.mm.prior import HUB_COUNTS, PriorContext
from imbdense.registry import TRANSFORMS


def build(**options):
    return TRANSFORMS.build({'type': 'imbdense.RareClassCrop', **options})


def sample(label, **more):
    """A sample whose image repeats the label, so that both must be cut alike."""
    image = np.repeat(label[..., None], 3, axis=2)
    shape = label.shape
    return {'img': image, 'gt_seg_map': label.copy(), 'seg_fields': ['gt_seg_map'], 'ori_shape': shape, **more}


def rare_label(size=200, rare=((150, 40),), value=7):
    label = np.zeros((size, size), np.uint8)
    for row, column in rare:
        label[row, column] = value
    return label


def index_of(label):
    return {int(c): np.argwhere(label == c)[:64] for c in np.unique(label) if c != 255}


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


@pytest.mark.parametrize('rate', [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize('indexed', [True, False])
def test_hit_rate_is_the_asked_rate(rate, indexed):
    """One rare pixel among 250 000: uniform crops hit it in 0.04 % of the cases only."""
    label = rare_label(500, [(450, 120)])
    crop = build(crop_size=10, rate=rate, classes=[7], class_counts=[1e6] * 7 + [1.0])
    record = sample(label)
    record['img'] = record['img'][..., :1]
    if indexed:
        record['class_pixels'] = index_of(label)
    trials = 6000 if indexed else 1000
    hits = np.mean([(crop(dict(record))['gt_seg_map'] == 7).any() for _ in range(trials)])
    assert hits == pytest.approx(rate, abs=0.02 + 0.02 * (not indexed))


def test_uniform_part_is_uniform_and_image_and_label_are_cut_alike():
    label = np.random.default_rng(0).integers(0, 5, (40, 60)).astype(np.uint8)
    crop = build(crop_size=(10, 20), rate=0.5)
    for _ in range(50):
        out = crop(sample(label))
        assert out['img'].shape == (10, 20, 3) and out['img_shape'] == (10, 20)
        assert (out['img'][..., 0] == out['gt_seg_map']).all()


@pytest.mark.parametrize('pixel', [(0, 0), (0, 199), (199, 0), (199, 199), (3, 100)])
def test_pixels_at_the_border_are_inside(pixel):
    label = rare_label(200, [pixel])
    crop = build(crop_size=64, rate=1.0, classes=[7])
    for _ in range(20):
        out = crop(sample(label))
        assert (out['gt_seg_map'] == 7).sum() == 1 and out['gt_seg_map'].shape == (64, 64)


def test_smaller_image_is_padded_with_ignore():
    label = rare_label(30, [(29, 29)])
    depth = np.ones((30, 30), np.float32)
    out = build(crop_size=(50, 20), rate=1.0, classes=[7], pad_val=9)(
        sample(label, gt_depth_map=depth, seg_fields=['gt_seg_map', 'gt_depth_map'])
    )
    assert out['img'].shape == (50, 20, 3) and (out['img'][30:] == 9).all()
    assert (out['gt_seg_map'][30:] == 255).all() and (out['gt_seg_map'] == 7).sum() == 1
    assert (out['gt_depth_map'][30:] == 0).all() and (out['gt_depth_map'][:30] == 1).all()


def test_ignore_only_image_and_image_without_wanted_class_give_a_uniform_crop():
    ignored = np.full((40, 40), 255, np.uint8)
    for label, classes in ((ignored, None), (rare_label(40, []), [7])):
        out = build(crop_size=16, rate=1.0, classes=classes)(sample(label, class_pixels={}))
        assert out['gt_seg_map'].shape == (16, 16)


def test_ignore_is_never_the_target():
    label = np.full((300, 300), 255, np.uint8)
    label[299, 5] = 0
    crop = build(crop_size=8, rate=1.0)
    assert all((crop(sample(label))['gt_seg_map'] == 0).any() for _ in range(50))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('scale', [(400, 300), (90, 120)])
def test_index_is_followed_through_the_hosts_resize_and_flip(direction, scale):
    label = np.zeros((150, 200), np.uint8)
    label[20:26, 170:178] = 3
    crop = build(crop_size=32, rate=1.0, classes=[3], class_counts=[1e4, 1, 1, 48])
    searched = []
    crop._searched_pixel = lambda *args: searched.append(args)
    resize, flip = Resize(scale=scale, keep_ratio=False), RandomFlip(prob=1.0, direction=direction)
    for _ in range(10):
        record = flip(resize(sample(label, class_pixels=index_of(label))))
        assert (crop(record)['gt_seg_map'] == 3).any()
    assert not searched, 'the index was right, so the label was not searched'


def test_index_that_does_not_verify_is_replaced_by_a_search():
    label = rare_label(200, [(150, 40)])
    crop = build(crop_size=16, rate=1.0, classes=[7], class_counts=[1e4] * 8)
    wrong = {7: np.array([[10, 10]])}
    assert all((crop(sample(label, class_pixels=wrong))['gt_seg_map'] == 7).any() for _ in range(20))


def test_tail_needs_counts_and_takes_them_from_the_hook():
    label = rare_label(200, [(150, 40)], value=2)
    crop = build(crop_size=16, rate=1.0, classes='tail')
    with pytest.raises(ValueError, match='ClassCountHook'):
        crop(sample(label))
    counts = ClassCounts(classes=('a', 'b', 'c'), pixels=np.array([1000, 500, 3]))
    hub = MessageHub.get_current_instance()
    hub.update_info(HUB_COUNTS, counts.to_dict())
    try:
        assert all((crop(sample(label))['gt_seg_map'] == 2).any() for _ in range(20))
    finally:
        hub.update_info(HUB_COUNTS, None)


def test_rarer_class_is_chosen_more_often():
    label = np.zeros((400, 400), np.uint8)
    label[0, 0], label[399, 399] = 1, 2
    crop = build(crop_size=8, rate=1.0, classes=[1, 2], class_counts=[1e6, 900.0, 100.0], power=0.5)
    share = np.mean([(crop(sample(label))['gt_seg_map'] == 2).any() for _ in range(1500)])
    assert share == pytest.approx(0.75, abs=0.04)


def test_seed_of_the_host_decides():
    label = np.random.default_rng(0).integers(0, 5, (80, 80)).astype(np.uint8)
    crop = build(crop_size=16)

    def run():
        np.random.seed(3)
        return np.stack([crop(sample(label))['gt_seg_map'] for _ in range(5)])

    assert (run() == run()).all()


def test_declared_effect_is_what_crops_give():
    rng = np.random.default_rng(0)
    labels = []
    for image in range(40):
        label = (rng.random((100, 100)) < 0.3).astype(np.uint8)
        if image % 8 == 0:
            label[60:64, 20:24] = 2
        labels.append(label)
    dense = np.array([[(label == c).sum() for c in range(3)] for label in labels])
    draws = np.where(dense[:, 2] > 0, 3.0, 1.0)
    crop = build(crop_size=30, rate=0.6, classes=[2])
    context = PriorContext(ImageClassTable.from_dense(dense), draws, labels.__getitem__, None, 0)
    declared = crop.prior_effect(context)
    measured = np.zeros(3)
    for label, draw in zip(labels, draws):
        for _ in range(40):
            measured += np.bincount(crop(sample(label))['gt_seg_map'].ravel(), minlength=3)[:3] * draw / 40
    assert np.allclose(declared, measured, rtol=0.2)
    assert declared[2] / declared[0] > 3 * dense[:, 2].sum() / dense[:, 0].sum()
    assert (declared == crop.prior_effect(context)).all(), 'the estimate has its own seed'


def test_errors_name_the_mistake():
    with pytest.raises(ValueError, match='LoadAnnotations'):
        build(crop_size=8)({'img': np.zeros((9, 9, 3))})
    with pytest.raises(ValueError, match='gt_bboxes'):
        build(crop_size=8)(sample(rare_label(20, []), gt_bboxes=np.zeros((1, 4))))
    with pytest.raises(ValueError, match='rate'):
        build(crop_size=8, rate=1.5)
    with pytest.raises(ValueError, match="'tail'"):
        build(crop_size=8, classes='head')
    with pytest.raises(ValueError, match='crop_size'):
        build(crop_size=(8, 8, 8))
    with pytest.raises(TypeError, match='cat_max_ratio'):
        build(crop_size=8, cat_max_ratio=0.75)


def test_counts_of_another_data_set_are_named():
    with pytest.raises(ValueError, match='class_counts has 3 classes, but the image holds class 7'):
        build(crop_size=16, rate=1.0, class_counts=[5, 4, 3])(sample(rare_label()))
