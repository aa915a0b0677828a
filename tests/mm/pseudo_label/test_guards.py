"""Warnings about an unlabelled set."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmengine')

from imbdense.data.pseudo import FilterTable
from imbdense.mm.pseudo_label.guards import Confidences, guard_report, relevance
from imbdense.mm.pseudo_label.outputs import png_bytes


def pixels(*levels: int) -> Confidences:
    """Of one image with these confidences floor(255 p)."""
    return Confidences.of([{'confidence': png_bytes(np.array([levels], np.uint8))}])


def table(predicted: list[int], kept: list[int]) -> FilterTable:
    """Three classes, one filter."""
    made = FilterTable(('a', 'b', 'c'), 'pixels', predicted)
    made.add('class threshold', kept)
    return made


def test_relevance_by_hand() -> None:
    """Mean labelled confidence 204 / 255 = .8: units from .4 = 102 / 255 on count; two of four do."""
    assert relevance(pixels(101, 102, 255, 0), pixels(153, 255)) == pytest.approx(0.5)
    assert relevance(pixels(255), Confidences.of([])) is None
    assert relevance(Confidences.of([]), pixels(255)) is None


def test_boxes_count_by_the_best_of_an_image() -> None:
    records = [{'scores': np.array([0.9, 0.1], np.float32)}, {'scores': np.zeros(0, np.float32)},
               {'error': np.array('broken')}]
    found = Confidences.of(records)
    assert found.histogram.sum() == 2 and found.histogram[229] == 1 and found.histogram[0] == 1


def test_irrelevant_data_are_warned_of() -> None:
    good = table([50, 40, 30], [50, 40, 30])
    assert guard_report(good, np.array([50, 40, 30]), 0.61)[1] == []
    (warning,) = guard_report(good, np.array([50, 40, 30]), 0.59)[1]
    assert 'likely harmful' in warning


def test_silent_lost_and_more_imbalanced_classes() -> None:
    facts, warnings = guard_report(table([1000, 10, 0], [900, 0, 0]), np.array([10, 10, 10]), None)
    assert facts['rho'] == {'labelled': 1.0, 'unlabelled_predicted': 100.0, 'unlabelled_kept': 1.0}
    assert (facts['never_predicted'], facts['lost']) == (['c'], ['b'])
    assert len(warnings) == 2
    _, warnings = guard_report(table([1000, 10, 5], [900, 10, 5]), np.array([10, 10, 10]), None)
    assert 'more imbalanced' in warnings[0]


def test_nothing_kept() -> None:
    assert 'no pseudo-label at all' in guard_report(table([0, 0, 0], [0, 0, 0]), None, None)[1][-1]
