"""Every registered selector keeps the contract: budget, no image twice, same seed same choice, order of the pool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core.selection import ObjectPool
from tests.conformance.walk import build, members, takes
from tests.helpers.selection_pools import pool_of, random_pool

SELECTORS = members('selector')
REFUSED = {('FreeSel', 'image'), ('BinnedClusterSelector', 'class_object')}
CASES = [
    (name, level)
    for name, cls in SELECTORS.items()
    for level in (('object', 'image', 'class_object') if takes(cls, 'level') else (None,))
    if (name, level) not in REFUSED
]
each = pytest.mark.parametrize(('name', 'level'), CASES, ids=['-'.join(filter(None, case)) for case in CASES])


def selector(name: str, level: str | None) -> Any:
    return build(SELECTORS[name], **({} if level is None else {'level': level}))


def pools() -> dict[str, ObjectPool]:
    """The pools that break things: nothing in them, one of everything, all the same, more images than objects."""
    rng = np.random.default_rng(0)
    same = {'img_feat': np.ones((12, 3), np.float32)}
    unusable = np.arange(160) % 3 == 0
    return {
        'ordinary': random_pool(1),
        'no objects': random_pool(0, images=9, objects=0),
        'no images': random_pool(0, images=0, objects=0),
        'one image': pool_of(rng.normal(size=(7, 4)), np.zeros(7), img_feat=np.ones((1, 2), np.float32)),
        'one object': pool_of([[1.0, 2.0]], [3], images=6, img_feat=rng.normal(size=(6, 2)).astype(np.float32)),
        'one class': pool_of(rng.normal(size=(30, 4)), np.sort(np.arange(30) % 12),
                             img_feat=rng.normal(size=(12, 3)).astype(np.float32)),
        'all the same': pool_of(np.ones((24, 4)), np.repeat(np.arange(12), 2), **same),
        'zeros': pool_of(np.zeros((24, 4)), np.repeat(np.arange(12), 2), **same),
        'unknown classes': pool_of(rng.normal(size=(24, 4)), np.repeat(np.arange(12), 2), np.full(24, -1), **same),
        'few objects': random_pool(3, images=30, objects=6),
        'rows that are not usable': random_pool(4, usable=~unusable),
        'features that are not finite': with_nan(random_pool(7)),
        'half precision': with_half(random_pool(5)),
        'image features that are not finite': random_pool(6, img_feat=np.where(
            np.arange(40)[:, None] % 3, rng.normal(size=(40, 7)), np.nan).astype(np.float32)),
    }


def with_half(pool: ObjectPool) -> ObjectPool:
    object.__setattr__(pool, 'obj_feat', pool.obj_feat.astype(np.float16))
    return pool


def with_nan(pool: ObjectPool) -> ObjectPool:
    """Every fifth feature holds a NaN or an infinity, and the pool does not say so."""
    pool.obj_feat[::5, 2], pool.obj_feat[10::20, 2] = np.nan, np.inf
    return pool


POOLS = pools()


@each
@pytest.mark.parametrize('kind', POOLS)
def test_contract(name: str, level: str | None, kind: str) -> None:
    pool, choose = POOLS[kind], selector(name, level)
    some = list(range(0, pool.num_images, 4))
    for budget in (0, 1, 5, 1000):
        for selected in ([], some):
            result = choose(pool, budget, selected=selected, seed=2)
            images = result.images.tolist()
            assert len(images) == min(budget, pool.num_images - len(selected))
            assert len(set(images)) == len(images) and not set(images) & set(selected)
            assert list(result.image_ids) == [pool.image_ids[i] for i in images] and result.cost == len(images)
            assert all(np.isfinite(choice.gain) for choice in result.choices)
            for choice in result.choices:
                assert choice.row < 0 or pool.obj_image[choice.row] == choice.image
                assert choice.row < 0 or pool.usable is None or pool.usable[choice.row]
                assert choice.row < 0 or np.isfinite(pool.obj_feat[choice.row]).all()
            filled = [choice.image for choice in result.choices if choice.rule == 'fill']
            assert bool(filled) == any('images are random' in note for note in result.notes)
            for image in filled:
                assert not lacking(pool, image, result.notes), result.notes
    if pool.num_objects == 0 and pool.num_images and getattr(choose, 'needs_objects', True):
        assert 'random' in choose(pool, 2).notes[0]


def lacking(pool: ObjectPool, image: int, notes: Sequence[str]) -> list[str]:
    """The reason given for random images, if it is not true of this one (that of OFDS is tested with its filters)."""
    (note,) = (note for note in notes if 'images are random' in note)
    own = np.arange(*pool.starts[image : image + 2])
    usable = own if pool.usable is None else own[pool.usable[own]]
    usable = usable[np.isfinite(pool.obj_feat[usable]).all(axis=1)]
    holds = {
        'no object.': pool.num_objects > 0,
        'usable feature (finite, not all zero).': pool.usable_rows.size > 0,
        'a usable object.': usable.size > 0,
        'a usable object of a known class.': (pool.obj_class[usable] >= 0).any(),
        'a finite feature.': pool.img_feat is not None and np.isfinite(pool.img_feat[image]).all(),
        'a trusted object.': False,
    }
    (reason,) = (reason for reason in holds if note.endswith(f' {reason}'))
    return [reason] if holds[reason] else []


@each
def test_deterministic_and_apart_from_the_global_generators(name: str, level: str | None) -> None:
    pool = random_pool(7)
    np.random.seed(0)
    torch.manual_seed(0)
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    one = selector(name, level)(pool, 12, selected=[3], seed=5)
    assert np.array_equal(np.random.get_state()[1], state) and torch.equal(torch.get_rng_state(), torch_state)
    np.random.seed(1)
    two = selector(name, level)(pool, 12, selected=[3], seed=5)
    assert one.choices == two.choices and one.report == two.report


@each
def test_larger_budget_appends_where_that_is_declared(name: str, level: str | None) -> None:
    choose = selector(name, level)
    if not choose.prefix:
        pytest.skip('does not promise it')
    for pool in (random_pool(7), POOLS['few objects']):
        longest = choose(pool, pool.num_images, selected=[1], seed=3).images.tolist()
        for budget in (1, 2, 9, 20):
            assert choose(pool, budget, selected=[1], seed=3).images.tolist() == longest[:budget]


def permuted(pool: ObjectPool, order: np.ndarray) -> ObjectPool:
    """The same images in another order, their objects with them."""
    rows = np.concatenate([np.arange(pool.starts[i], pool.starts[i + 1]) for i in order])
    place = np.argsort(order)
    return ObjectPool(
        pool.classes, [pool.image_ids[i] for i in order], place[pool.obj_image[rows]], pool.obj_class[rows],
        pool.obj_score[rows], pool.obj_box[rows], pool.obj_area[rows], pool.obj_feat[rows], pool.img_feat[order])


@each
def test_order_of_the_pool_does_not_matter_without_draws(name: str, level: str | None) -> None:
    """Selectors whose choice is the same for all seeds draw nothing; they must find the same images anywhere.

    Where gains are equal (two images that are each other's best), others of the same worth.
    """
    pool, choose = random_pool(8, images=30, objects=120), selector(name, level)
    found = [choose(pool, 8, selected=[3], seed=seed) for seed in range(4)]
    if any(other.image_ids != found[0].image_ids for other in found):
        pytest.skip('draws')
    order = np.random.default_rng(0).permutation(30)
    other = choose(permuted(pool, order), 8, selected=[int(np.argsort(order)[3])], seed=0)
    if name in ('FacilityLocation', 'CostAware'):
        gains = [sum(choice.gain for choice in result.choices) for result in (other, found[0])]
        assert np.isclose(*gains, rtol=0.01) and other.image_ids[:3] == found[0].image_ids[:3]
    else:
        assert set(other.image_ids) == set(found[0].image_ids)


@each
def test_what_is_labelled_influences_the_choice(name: str, level: str | None) -> None:
    """Not only by being left out, for selectors that compare features or classes."""
    if name in ('RandomSelector', 'ZCore'):
        pytest.skip('leaves labelled images out, no more')
    pool, choose = random_pool(9), selector(name, level)
    whole = choose(pool, 12, seed=1).images.tolist()
    later = choose(pool, 12, selected=whole[6:], seed=1).images.tolist()
    assert later[:6] != whole[:6] or set(later[6:]).isdisjoint(whole[6:])


@each
def test_record_is_plain_data(name: str, level: str | None) -> None:
    result = selector(name, level)(random_pool(1), 3)
    assert result.selector['type'] == name and result.seed == 0
    json.dumps({'selector': result.selector, 'report': result.report, 'notes': list(result.notes)})


@each
def test_wrong_requests_are_named(name: str, level: str | None) -> None:
    choose = selector(name, level)
    with pytest.raises(ValueError, match='budget'):
        choose(POOLS['ordinary'], -1)
    with pytest.raises(ValueError, match='selected must hold indices'):
        choose(POOLS['ordinary'], 1, selected=[4000])
