"""Physical constraints: the next best class, the class of date 1, flags, places, and the published rules."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference import PhysicalConstraints, TransitionRule, habitalp_rules


def test_next_best_obeys_every_rule() -> None:
    constraints = PhysicalConstraints([dict(from_=[0], to=[2]), dict(from_=[0, 1], to=[1])])
    scores = torch.tensor([[0.1, 0.2, 0.2], [0.3, 0.3, 0.7], [0.6, 0.5, 0.1]])
    first, second = torch.tensor([0, 3, 1]), torch.tensor([2, 2, 1])
    mended, violated = constraints(first, second, scores)
    # From 0 neither 2 (0.6) nor 1 (0.3) is allowed: 0. From 3 everything is. From 1 not 1 (0.7): 0 (0.2) beats 2.
    assert mended.tolist() == [0, 2, 0] and violated.tolist() == [True, False, True]


def test_nothing_left_is_the_class_of_date_one_and_255_violates_nothing() -> None:
    constraints = PhysicalConstraints([dict(from_=[2], to=[0, 1])])
    mended, violated = constraints(torch.tensor([2, 255]), torch.tensor([1, 0]), torch.tensor([[0.4, 1], [0.6, 0]]))
    assert mended.tolist() == [2, 0] and violated.tolist() == [True, False]


def test_keep_from_and_flag() -> None:
    first, second = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 0])
    kept, violated = PhysicalConstraints([dict(from_=[0], to=[1], action='keep_from')])(first, second)
    assert kept.tolist() == [0, 0, 0] and violated.tolist() == [True, False, False]
    same, violated = PhysicalConstraints([dict(from_=[0], to=[1], action='flag')])(first, second)
    assert same.tolist() == second.tolist() and violated.sum() == 1


def test_rule_holds_only_where_the_layer_says() -> None:
    rule = dict(from_=[0], to=[1], where='slope > 35', action='keep_from')
    slope = torch.tensor([40.0, 35.0, float('nan'), 90.0])
    first, second = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    mended, _ = PhysicalConstraints([rule])(first, second, layers={'slope': slope})
    assert mended.tolist() == [0, 1, 1, 0]
    with pytest.raises(ValueError, match="needs the layer 'slope'"):
        PhysicalConstraints([rule])(first, second)


def test_published_rules() -> None:
    """A storm throws an old forest (18) back to young growth (6): kept by default, undone by the sixth rule."""
    scores = torch.zeros(24, 5)
    first = torch.tensor([18, 5, 2, 2, 6])
    second = torch.tensor([6, 21, 1, 20, 17])
    layers = {'slope': torch.tensor([0.0, 0, 36, 0, 0]), 'height': torch.tensor([900.0, 900, 900, 640, 900])}
    scores[second, torch.arange(5)] = 0.6
    scores[first, torch.arange(5)] = 0.4
    mended, violated = PhysicalConstraints(habitalp_rules())(first, second, scores, layers)
    assert violated.tolist() == [False, True, True, True, True] and mended.tolist() == [6, 5, 2, 2, 6]
    strict, _ = PhysicalConstraints(habitalp_rules(backward_stage=True))(first, second, scores, layers)
    assert strict[0] == 18
    assert len(habitalp_rules()) == 5


def test_published_rules_for_class_indices() -> None:
    """A model of 23 classes counts from 0, the label rasters from 1."""
    ids, indices = habitalp_rules(backward_stage=True), habitalp_rules(first=0, backward_stage=True)
    for one, two in zip(ids, indices, strict=True):
        assert [k - 1 for k in one.from_] == list(two.from_) and [k - 1 for k in one.to] == list(two.to)
        assert (one.where, one.action, one.name) == (two.where, two.action, two.name) and min(two.from_) >= 0


@pytest.mark.parametrize(
    ('rule', 'message'),
    [
        (dict(from_=[], to=[1]), 'at least one class'),
        (dict(from_=[0], to=[1], where='steep'), "like 'slope > 35'"),
        (dict(from_=[0], to=[1], action='drop'), 'action must be one of'),
    ],
)
def test_messages(rule: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransitionRule(**rule)


def test_shapes_and_missing_scores_are_named() -> None:
    one = PhysicalConstraints([dict(from_=[0], to=[1])])
    label = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match='need the scores of date 2'):
        one(label, label)
    with pytest.raises(ValueError, match='second has shape'):
        one(label, label[:2], torch.zeros(2, 3))
