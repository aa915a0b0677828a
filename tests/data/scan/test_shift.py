"""Label shift between splits."""

import numpy as np
import pytest

from imbdense.core.stats import ClassCounts
from imbdense.data.scan.shift import label_shift


def counts(*pixels):
    """Counts of classes a, b, ..."""
    return ClassCounts(tuple('abcd'[: len(pixels)]), pixels=np.array(pixels))


def test_equal_shares_have_no_shift():
    shift = label_shift(counts(10, 30), counts(1, 3), 'pixels')
    assert shift.total_variation == 0
    assert shift.jensen_shannon == pytest.approx(0)
    assert shift.warnings() == []


def test_disjoint_classes_have_the_largest_shift():
    shift = label_shift(counts(10, 0), counts(0, 7), 'pixels')
    assert shift.total_variation == 1
    assert shift.jensen_shannon == pytest.approx(1)
    text = ' '.join(shift.warnings())
    assert 'a is not in the second split' in text
    assert 'b is only in the second split' in text


def test_by_hand():
    shift = label_shift(counts(50, 50), counts(90, 10), 'pixels')
    assert shift.total_variation == pytest.approx(0.4)
    assert shift.ratio.tolist() == pytest.approx([1.8, 0.2])
    assert any('x 0.2' in line for line in shift.warnings())


def test_other_classes_and_empty_splits_are_refused():
    with pytest.raises(ValueError, match='other classes'):
        label_shift(counts(1, 2), counts(1, 2, 3), 'pixels')
    with pytest.raises(ValueError, match='no sample'):
        label_shift(counts(1, 2), counts(0, 0), 'pixels')
