"""Weights of unlabelled images: 0 removes an image, 1 changes nothing, they scale what they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.mm.views import WEIGHT_KEY, sort_into_branches
from tests.mm.segmentors.semi_cases import batch, build, segformer

LOW = dict(type='imbdense.FixedThreshold', threshold=0.2)
RULES = {
    'fixmatch': dict(type='imbdense.FixMatchConsistency', cutmix=0.0),
    'unimatch': dict(type='imbdense.UniMatchConsistency', cutmix=0.0, feature_drop=0.0),
    'cps': dict(type='imbdense.CrossPseudoConsistency', on_labeled=False),
    'u2pl': dict(type='imbdense.U2PLConsistency', cutmix=0.0, contrast=0.0),
}


def terms(model: Any, weights: list[float] | None, seed: int = 0, spoiled: bool = False) -> dict[str, float]:
    """The unsupervised terms of a batch of three unlabelled images; ``spoiled``: the first of them is another one."""
    data = model.data_preprocessor(batch(seed=seed), True)
    for name in data['inputs']:
        if name != 'sup':
            if spoiled:
                data['inputs'][name][0] = data['inputs'][name][0].flip(-2) * 0.5
            for sample, weight in zip(data['data_samples'][name], weights or [], strict=bool(weights)):
                sample.set_metainfo({WEIGHT_KEY: weight})
    torch.manual_seed(1)
    found = model(**data, mode='loss')
    return {key: float(value) for key, value in found.items() if key.startswith('unsup.')}


@pytest.mark.parametrize('name', RULES)
def test_weight_zero_removes_the_image_and_nothing_else(name: str) -> None:
    model = build(segformer(), consistency=RULES[name], pseudo=LOW).eval()
    plain = terms(model, None)
    assert plain == terms(model, [1.0, 1.0, 1.0]), 'weights of 1 change nothing, bit for bit'
    assert terms(model, None, spoiled=True) != plain
    gone = terms(model, [0.0, 1.0, 1.0])
    assert gone != plain and gone == pytest.approx(terms(model, [0.0, 1.0, 1.0], spoiled=True), rel=1e-6)
    parts = [terms(model, [float(i == k) for k in range(3)]) for i in range(3)]
    for key, value in plain.items():
        assert sum(part[key] for part in parts) == pytest.approx(value, rel=1e-5)


def test_a_mixed_in_rectangle_keeps_the_weight_of_its_own_image() -> None:
    rule = dict(type='imbdense.FixMatchConsistency', cutmix=1.0)
    model = build(segformer(), consistency=rule, pseudo=LOW).eval()
    parts = [terms(model, [float(i == k) for k in range(3)]) for i in range(3)]
    whole = terms(model, None)['unsup.loss_strong']
    assert sum(part['unsup.loss_strong'] for part in parts) == pytest.approx(whole, rel=1e-5)


def test_the_contrast_leaves_out_images_of_weight_zero() -> None:
    rule = dict(type='imbdense.U2PLConsistency', cutmix=0.0, confidence=0.0, anchors=8, negatives=4, bank_size=8, dim=8)
    found = []
    for spoiled in (False, True):
        model = build(segformer(), consistency=rule).eval()
        found.append(terms(model, [0.0, 1.0, 1.0], spoiled=spoiled)['unsup.loss_contrast'])
    assert found[0] > 0 and found[0] == pytest.approx(found[1], rel=1e-5)


def test_an_unsupervised_weight_of_zero_is_the_supervised_baseline() -> None:
    """No look at the unlabelled images: the normalisation of the student moves by the labelled ones alone."""
    data = batch()
    model, other = build(unsup_weight=0.0), build(unsup_weight=0.0)
    found = model(**model.data_preprocessor(data, True), mode='loss')
    other.student.loss(**{key: part['sup'] for key, part in other.data_preprocessor(batch(), True).items()})
    assert all(key.startswith('sup.') for key in found)
    state, plain = model.student.state_dict(), other.student.state_dict()
    assert all(torch.equal(state[key], plain[key]) for key in state)


def test_batches_are_sorted_into_branches() -> None:
    found = sort_into_branches(batch(labeled=2, unlabeled=3, strong=1), 'sup')
    assert {name: len(part['inputs']) for name, part in found.items()} == {
        'sup': 2, 'unsup_weak': 3, 'unsup_strong_1': 3
    }
    assert [sample.img_path for sample in found['unsup_strong_1']['data_samples']] == ['u0.png', 'u1.png', 'u2.png']
