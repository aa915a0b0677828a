"""Colours, labels inside changes, ids of transitions."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.change.labels import (
    ColorMapToIndex,
    split_change_only,
    transition_ids,
    transitions_to_dates,
)
from imbdense.data.readers import LabelReadError

COLOURS = ((255, 255, 255), (0, 0, 255), (128, 128, 128))


def picture():
    return np.array(COLOURS, np.uint8)[np.array([[0, 1, 2], [2, 0, 1]])]


def test_colours_and_ignored_ones():
    mapping = ColorMapToIndex(COLOURS, ignored=((9, 9, 9),))
    given = picture()
    given[1, 1] = 9
    assert mapping(given, 'a.png').tolist() == [[0, 1, 2], [2, 255, 1]]


def test_unknown_colours():
    given = picture()
    given[0, 2], given[1, 0] = (130, 126, 128), (60, 250, 60)
    with pytest.raises(LabelReadError, match=r'a\.png: has 2 pixels .*the first is at row 0, column 2'):
        ColorMapToIndex(COLOURS)(given, 'a.png')
    assert ColorMapToIndex(COLOURS, unknown='ignore')(given, 'a.png').tolist() == [[0, 1, 255], [255, 0, 1]]
    assert ColorMapToIndex(COLOURS, unknown='nearest')(given, 'a.png').tolist() == [[0, 1, 2], [2, 0, 1]]
    with pytest.raises(LabelReadError, match=r'has 1 pixels .*row 1, column 0'):
        ColorMapToIndex(COLOURS, unknown='nearest', max_distance=10)(given, 'a.png')


def test_nothing_becomes_unchanged_by_chance():
    """A colour of the table that is left out is an error, not index 0."""
    with pytest.raises(LabelReadError):
        ColorMapToIndex(COLOURS[:2])(picture(), 'a.png')


@pytest.mark.parametrize(
    ('options', 'words'),
    [({'unknown': 'zero'}, 'unknown'), ({'max_distance': 300}, 'max_distance'), ({'colors': ((1, 2),)}, 'red'),
     ({'colors': ((1, 2, 3), (1, 2, 3))}, 'stands for')],
)  # fmt: skip
def test_wrong_tables(options, words):
    with pytest.raises(ValueError, match=words):
        ColorMapToIndex(**{'colors': COLOURS, **options})


def test_labels_inside_changes():
    first = np.array([[0, 1, 3, 0, 255, 2]], np.uint8)
    second = np.array([[0, 2, 3, 4, 1, 255]], np.uint8)
    change, one, two, wrong = split_change_only(first, second)
    assert change.tolist() == [[0, 1, 1, 1, 255, 255]]
    assert one.tolist() == [[255, 0, 2, 255, 255, 1]] and two.tolist() == [[255, 1, 2, 3, 0, 255]]
    assert wrong == 1, 'the fourth pixel is labelled at the second date only'


def test_ids_of_transitions():
    ids = np.array([[0, 1, 2]], np.uint8)
    first, second = transitions_to_dates(ids, {1: (1, 2), 2: (3, 1)}, 'a.png')
    assert first.tolist() == [[0, 1, 3]] and second.tolist() == [[0, 2, 1]]
    for wrong in (7, -1, 300):
        with pytest.raises(LabelReadError, match=rf'a\.png.*\[{wrong}\].*row 0, column 1'):
            transitions_to_dates(np.array([[0, wrong]]), {1: (1, 2)}, 'a.png')


def test_transitions_of_a_pair():
    change = np.array([[0, 1, 1, 255, 1, 2]], np.uint8)
    first, last = np.array([[0, 0, 1, 1, 255, 2]], np.uint8), np.array([[1, 2, 1, 2, 0, 0]], np.uint8)
    assert transition_ids(change, (first, last), 3).tolist() == [[-1, 2, 4, -2, -2, 6]]
