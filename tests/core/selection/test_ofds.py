"""OFDS on pools of a few objects: the worked example, every rule, costs, what it reports."""

from __future__ import annotations

import json

import numpy as np
import pytest

from imbdense.core.selection import OFDS, KNNVerifier
from tests.core.selection.small_pools import small_pool
from tests.helpers.selection_pools import random_pool
from tests.helpers.synthetic_pool import synthetic_pool

A, B = 0, 1
EXAMPLE = [(0, A, 0.0), (0, B, 0.0), (1, A, 10.0), (2, B, 1.0), (3, B, 10.0)]


def test_the_worked_example() -> None:
    """A takes its two images; of B, {b1, b2} is covered by b1, so that b3 is chosen and not its neighbour b2."""
    chosen = OFDS(verify=None, normalize=False)(small_pool(EXAMPLE, 4, 2), 3)
    assert chosen.images.tolist() == [0, 1, 3]
    assert [choice.klass for choice in chosen.choices] == [A, A, B]
    assert [choice.rule for choice in chosen.choices] == ['every image', 'every image', 'uncovered cluster']
    assert [row['quota'] for row in chosen.report['classes']] == [2, 1]
    assert chosen.report['classes'][B] | {'clusters': 2, 'covered_objects': 1, 'covered_clusters': 1, 'added': 1} == (
        chosen.report['classes'][B])


def test_frequent_first_lets_the_frequent_class_choose() -> None:
    chosen = OFDS(verify=None, normalize=False, order='frequent_first')(small_pool(EXAMPLE, 4, 2), 3)
    assert chosen.choices[0].klass == B and chosen.report['passes'][0]['class'] == 'class 1'


def test_joint_order_clusters_all_classes_together() -> None:
    chosen = OFDS(verify=None, normalize=False, order='joint')(small_pool(EXAMPLE, 4, 2), 2)
    assert len(chosen) == 2 and chosen.report['passes'][0]['class'] == 'joint'
    far = {i for i, _, x in EXAMPLE if x == 10.0}
    assert len(set(chosen.images.tolist()) & far) == 1, 'one image at 10, one near 0'


def test_one_class_one_image() -> None:
    chosen = OFDS()(small_pool([(0, 0, [1.0, 0.0])], 1, 1), 5)
    assert chosen.images.tolist() == [0]


def test_a_class_without_proposals_is_reported_and_the_budget_met() -> None:
    chosen = OFDS(verify=None, normalize=False)(small_pool(EXAMPLE, 6, 3), 5)
    assert chosen.report['missing_classes'] == ['class 2'] and len(chosen) == 5
    assert any('no proposal of class 2 can be trusted' in note for note in chosen.notes)


def test_all_objects_in_one_image() -> None:
    pool = small_pool([(2, A, 1.0), (2, A, 5.0), (2, B, 9.0)], 5, 2)
    chosen = OFDS(verify=None, normalize=False)(pool, 3, seed=1)
    assert chosen.images[0] == 2 and len(set(chosen.images.tolist())) == 3
    assert [choice.rule for choice in chosen.choices[1:]] == ['fill', 'fill'] and chosen.notes


def test_leftover_goes_to_image_features_where_there_are_some() -> None:
    features = np.array([[0.0], [9.0], [0.0], [0.1], [4.0]], np.float32)
    chosen = OFDS(verify=None, normalize=False)(small_pool([(2, A, 1.0)], 5, 1, img_feat=features), 2)
    assert chosen.images.tolist() == [2, 1], 'image 1 is the farthest from image 2'
    assert chosen.choices[1].rule == 'k-centre fill'
    assert chosen.notes == ['1 images are chosen by k-centre on image features: no other image has a trusted object.']


def test_the_note_on_random_images_says_why() -> None:
    """Filters left nothing in them; a feature of theirs is not finite; no minutes for them; nothing there at all."""
    objects = [(0, A, 1.0), (1, A, 2.0)]
    low = OFDS(verify=None, adaptive_tau=False)(small_pool(objects, 3, 1, scores=[1.0, 0.1]), 3)
    assert low.notes == ['2 of 3 images are random: no other image has a trusted object.']
    features = np.array([[1.0], [np.nan], [2.0]], np.float32)
    some = OFDS(verify=None, normalize=False)(small_pool(objects[:1], 3, 1, img_feat=features), 3)
    assert [choice.rule for choice in some.choices] == ['every image', 'k-centre fill', 'fill']
    assert some.images.tolist() == [0, 2, 1] and 'no other image has a trusted object' in some.notes[1]
    dear = small_pool(objects, 3, 1, img_cost=np.array([1, 5, 1], np.float32))
    paid = OFDS(verify=None, normalize=False, cost='img_cost')(dear, 3)
    assert paid.images.tolist() == [0, 2] and 'the minutes left pay for no image' in paid.notes[0]
    nothing = OFDS()(random_pool(0, images=2, objects=0), 1)
    assert nothing.notes == ['1 of 1 images are random: the pool holds no object.']


def test_labelled_images_that_cover_all_modes_but_one() -> None:
    """Modes at 0, 10, 20, 30; the labelled images show three: the quota of one goes to the fourth."""
    rng = np.random.default_rng(0)
    objects = [(i, 0, [10.0 * (i % 4) + rng.normal(0, 0.1), 1.0]) for i in range(40)]
    for missing in range(4):
        labelled = [i for i in range(12) if i % 4 != missing]
        chosen = OFDS(verify=None, normalize=False)(small_pool(objects, 40, 1), 1, selected=labelled)
        assert chosen.images[0] % 4 == missing and chosen.images[0] not in labelled


def test_budget_of_all_images_returns_all() -> None:
    drawn = synthetic_pool(0, images=60)
    chosen = OFDS()(drawn.pool, 100)
    assert sorted(chosen.images.tolist()) == list(range(60))


def test_permuting_the_classes_changes_nothing_but_ties() -> None:
    from dataclasses import replace

    pool = synthetic_pool(3, images=200).pool
    counts = np.bincount(pool.obj_class, minlength=20)
    assert len(np.unique(counts)) < 20, 'there are ties; they are taken out below'
    order = np.random.default_rng(0).permutation(20)
    unique = np.isin(counts, [value for value in counts if (counts == value).sum() == 1])
    keep = unique[pool.obj_class]
    fields = {name: getattr(pool, name)[keep] for name in ('obj_image', 'obj_class', 'obj_score', 'obj_box',
                                                           'obj_area', 'obj_feat')}
    pool = replace(pool, **fields)
    moved = replace(pool, classes=[pool.classes[c] for c in order],
                    obj_class=np.argsort(order).astype(np.int32)[pool.obj_class])
    assert OFDS()(moved, 30).images.tolist() == OFDS()(pool, 30).images.tolist()


def test_equal_seeds_equal_choice_and_no_global_generator() -> None:
    pool = synthetic_pool(1, images=200).pool
    first = OFDS()(pool, 20, seed=5)
    np.random.seed(1)
    second = OFDS()(pool, 20, seed=5)
    assert first.images.tolist() == second.images.tolist() and first.report == second.report


def test_two_halves_beat_one_half_twice() -> None:
    """``selected`` makes it incremental: the second half shows modes that the first does not."""
    drawn = synthetic_pool(0, images=600)
    first = OFDS(verify=None)(drawn.pool, 20).images
    second = OFDS(verify=None)(drawn.pool, 20, selected=first).images
    assert not set(first.tolist()) & set(second.tolist())
    blind = OFDS(verify=None)(drawn.pool, 20, seed=1).images
    assert drawn.modes_seen(np.r_[first, second]) > drawn.modes_seen(np.r_[first, blind])


def test_img_cost_counts_minutes_and_prefers_the_cheap_of_two_alike() -> None:
    objects = [(0, 0, 0.0), (1, 0, 0.1), (2, 0, 5.0), (3, 0, 5.2), (4, 0, 5.05), (5, 0, 50.0)]
    cost = np.array([1, 4, 4, 1, 4, 1], np.float32)
    pool = small_pool(objects, 6, 1, img_cost=cost)
    chosen = OFDS(verify=None, normalize=False, cost='img_cost')(pool, 3)
    assert chosen.cost <= 3 and len(chosen) > 1
    assert all(cost[image] <= 3 for image in chosen.images)
    with pytest.raises(ValueError, match='img_cost'):
        OFDS(cost='img_cost')(small_pool(objects, 6, 1), 3)


def test_cost_by_objects() -> None:
    """Image 0 holds five proposals: 2 minutes; the others 1.2."""
    objects = [(0, 0, float(x)) for x in range(5)] + [(1, 0, 20.0), (2, 0, 40.0)]
    pool = small_pool(objects, 3, 1)
    chosen = OFDS(verify=None, normalize=False, cost='objects')(pool, 3)
    assert chosen.cost == pytest.approx(2.4) and sorted(chosen.images.tolist()) == [1, 2]
    everything = OFDS(verify=None, normalize=False, cost='objects')(pool, 10)
    assert everything.cost == pytest.approx(4.4) and len(everything) == 3


@pytest.mark.parametrize(('proposals', 'images'), [(1, 8), (2, 8), (3, 3), (4, 7)])
def test_minutes_pay_for_as_many_images_as_they_are_worth(proposals: int, images: int) -> None:
    """1 + 0.2 per proposal: 9.6 minutes are eight images of 1.2, half of them for each class."""
    rng = np.random.default_rng(0)
    objects = [(i, i % 2, rng.normal(size=3)) for i in range(30) for _ in range(proposals)]
    minutes = round((1 + 0.2 * proposals) * images, 6)
    chosen = OFDS(verify=None, cost='objects')(small_pool(objects, 30, 2), minutes)
    assert len(chosen) == images and chosen.cost == pytest.approx(minutes)
    added = [row['added'] for row in chosen.report['classes']]
    assert abs(added[0] - added[1]) <= 1


def test_img_cost_in_decimals() -> None:
    objects = [(i, i % 2, [float(i), 1.0]) for i in range(40)]
    for cost, minutes, images in ((0.1, 1, 10), (0.3, 3, 10), (0.7, 7, 10)):
        pool = small_pool(objects, 40, 2, img_cost=np.full(40, cost, np.float32))
        chosen = OFDS(verify=None, cost='img_cost')(pool, minutes)
        assert [row['added'] for row in chosen.report['classes']] == [images // 2, images // 2]


def test_the_report_is_plain_data_and_adds_up() -> None:
    drawn = synthetic_pool(0, missed=0.25, wrong=0.1, images=300)
    chosen = OFDS()(drawn.pool, 40)
    report = json.loads(json.dumps(chosen.report, allow_nan=False))
    assert sum(row['added'] for row in report['classes']) == 40
    for row in report['classes']:
        assert row['proposals'] >= row['score'] >= row['duplicates'] >= row['neighbours'] >= 0
    assert sum(row['neighbours'] for row in report['classes']) < sum(row['duplicates'] for row in report['classes'])
    hits = [row['quota_hits'] for row in report['top_images']]
    assert len(hits) == 20 and hits == sorted(hits, reverse=True) and hits[0] > 1
    assert json.loads(json.dumps(chosen.selector))['verify'] == {'type': 'KNNVerifier', 'k': 10, 'balanced': False}


def test_features_that_do_not_tell_a_class_apart_are_told() -> None:
    """Class 1 lies in the middle of class 0: its neighbours outvote it, and a note says what that may mean."""
    rng = np.random.default_rng(0)
    objects = [(i, 1 if i < 6 else 0, [1.0, *rng.normal(0, 0.1, 3)]) for i in range(60)]
    mixed = OFDS()(small_pool(objects, 60, 2), 2)
    assert mixed.notes == ['the neighbours contradict most objects of class 1: they are wrong, or the features do not '
                           'tell these classes apart (then another layer, or verify=None).']
    assert not OFDS(verify=None)(small_pool(objects, 60, 2), 2).notes
    apart = [(i, klass, [float(klass), 1.0 - klass, *feature[1:]]) for i, klass, feature in objects]
    assert not OFDS(verify=KNNVerifier(k=3))(small_pool(apart, 60, 2), 2).notes


def test_objects_without_a_usable_feature_are_left_out_and_counted() -> None:
    pool = small_pool([(0, 0, [0.0, 0.0]), (1, 0, [1.0, 0.0]), (2, 0, [0.0, 1.0])], 3, 1,
                      usable=np.array([True, True, False]))
    chosen = OFDS()(pool, 1)
    assert chosen.images.tolist() == [1] and chosen.report['dropped_features'] == 2
    assert any('2 objects' in note for note in chosen.notes)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='order'):
        OFDS(order='alphabetical')
    with pytest.raises(ValueError, match='cost'):
        OFDS(cost='euro')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='score_thr'):
        OFDS(score_thr=[0.3, 1.5])
    with pytest.raises(ValueError, match='3 numbers'):
        OFDS(score_thr=[0.3] * 3)(small_pool(EXAMPLE, 4, 2), 1)
