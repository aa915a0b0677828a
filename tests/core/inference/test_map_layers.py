"""Layers of a map from scores: hand examples, and the same bytes from any piece."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.inference.map_layers import MapMaker, ScoreGroup, available_layers, quantised

CHANGE = (ScoreGroup('change', 2), ScoreGroup('t1', 3), ScoreGroup('t2', 3))


def logits(channels: int, height: int = 9, width: int = 11) -> torch.Tensor:
    return 2 * torch.randn((channels, height, width), generator=torch.Generator().manual_seed(0))


def names(groups: tuple[ScoreGroup, ...]) -> list[str]:
    return [layer.name for layer in available_layers(groups)]


def test_layers_by_kind_of_model() -> None:
    assert names((ScoreGroup('label', 4),)) == ['label', 'confidence', 'entropy']
    assert names((ScoreGroup('change', 2),)) == ['change', 'p_change', 'entropy']
    assert names(CHANGE) == ['change', 'p_change', 'label_t1', 'label_t2', 'from_to', 'entropy']
    assert names(CHANGE[1:]) == ['change', 'p_change', 'label_t1', 'label_t2', 'from_to']
    assert available_layers((ScoreGroup('label', 255),))[0].dtype == 'uint16'


def test_unknown_kinds_and_layers_are_refused() -> None:
    with pytest.raises(ValueError, match='no known map'):
        available_layers((ScoreGroup('depth', 1),))
    with pytest.raises(ValueError, match='same land-cover classes'):
        available_layers((ScoreGroup('t1', 3), ScoreGroup('t2', 4)))
    with pytest.raises(ValueError, match='layers of this model are label, confidence, entropy, not change'):
        MapMaker((ScoreGroup('label', 4),), ['change'])


def test_one_date() -> None:
    maker = MapMaker((ScoreGroup('label', 3),), ['label', 'confidence', 'entropy'])
    p = torch.tensor([[0.5, 0.0], [0.25, 1.0], [0.25, 0.0]]).view(3, 1, 2)
    found = maker.from_probabilities(p)
    assert found['label'].tolist() == [[0, 1]]
    assert found['confidence'].tolist() == [[127, 254]]  # floor(0.5 * 254 + 0.5)
    expected = (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)
    assert found['entropy'].tolist() == [[math.floor(expected * 254 + 0.5), 0]]


def test_one_sigmoid_channel_has_the_threshold_of_its_head() -> None:
    maker = MapMaker((ScoreGroup('change', 1, 0.3),), ['change', 'p_change'])
    found = maker.from_logits(torch.tensor([-2.0, -0.5, 2.0]).view(1, 1, 3))
    assert found['change'].tolist() == [[0, 1, 1]]  # 0.12, 0.38, 0.88
    assert found['p_change'].tolist() == [[30, 96, 224]]


def test_land_cover_of_two_dates_and_its_transitions() -> None:
    maker = MapMaker(CHANGE, ['change', 'label_t1', 'label_t2', 'from_to'])
    z = torch.zeros(8, 1, 2)
    z[1, 0, 0] = z[0, 0, 1] = 1  # changed, unchanged
    z[2 + 2] = z[5 + 1] = 1  # class 2 before, class 1 after
    found = maker.from_logits(z)
    assert found['change'].tolist() == [[1, 0]]
    assert found['label_t1'].tolist() == [[2, 2]] and found['label_t2'].tolist() == [[1, 1]]
    assert found['from_to'].tolist() == [[1 + 2 * 3 + 1, 0]]


def test_an_unchanged_channel_is_no_land_cover() -> None:
    groups = (CHANGE[0], *(ScoreGroup(date, 4, None, True) for date in ('t1', 't2')))
    z = torch.zeros(10, 1, 2)
    z[1] = 1  # changed at both pixels
    z[2 + 3, 0, 0] = z[6 + 1, 0, 0] = 1  # class 2 to class 0
    z[2 + 0, 0, 1] = z[6 + 1, 0, 1] = 1  # "unchanged" at date 1
    found = MapMaker(groups, ['label_t1', 'from_to']).from_logits(z)
    assert found['label_t1'].tolist() == [[2, 255]]
    assert found['from_to'].tolist() == [[1 + 2 * 3 + 0, 65534]]


def test_two_classifications_are_compared() -> None:
    maker = MapMaker(CHANGE[1:], ['change', 'p_change', 'from_to'])
    p = torch.tensor([0.6, 0.4, 0.0, 0.1, 0.9, 0.0]).view(6, 1, 1)
    found = maker.from_probabilities(p)
    assert found['change'].item() == 1 and found['from_to'].item() == 1 + 0 * 3 + 1
    assert found['p_change'].item() == math.floor((1 - 0.6 * 0.1 - 0.4 * 0.9) * 254 + 0.5)


def test_a_comparison_of_its_own_replaces_the_default() -> None:
    def never(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return first.argmax(0), first.argmax(0), torch.zeros_like(first[0])

    found = MapMaker(CHANGE[1:], ['change', 'p_change'], never).from_logits(logits(6))
    assert not found['change'].any() and not found['p_change'].any()


@pytest.mark.parametrize('groups', [(ScoreGroup('label', 5),), CHANGE, CHANGE[1:]])
def test_labels_of_logits_and_of_probabilities_agree_and_pieces_do_not_matter(groups: tuple[ScoreGroup, ...]) -> None:
    maker = MapMaker(groups, names(groups))
    z = logits(maker.channels)
    p = maker.probabilities(z.clone(), torch.ones_like(z[0]))
    whole, direct = maker.from_probabilities(p), maker.from_logits(z.clone())
    for name, value in whole.items():
        assert torch.equal(value.long(), direct[name].long()), name
        piece = maker.from_probabilities(p[:, 2:7, 3:8].clone())[name]
        assert torch.equal(piece, value[2:7, 3:8]), name


def test_labels_alone_need_no_probabilities() -> None:
    assert not MapMaker(CHANGE, ['change', 'from_to']).needs_probabilities
    assert MapMaker(CHANGE, ['change', 'p_change']).needs_probabilities
    assert MapMaker(CHANGE[1:], ['change']).needs_probabilities


def test_quantised_rounds_and_leaves_255_free() -> None:
    assert quantised(torch.tensor([0.0, 1.0, 1.0000002, 1 / 254, 0.4 / 254])).tolist() == [0, 254, 254, 1, 0]
