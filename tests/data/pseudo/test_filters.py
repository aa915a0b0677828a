"""The table of filters."""

from __future__ import annotations

import pytest

from imbdense.data.pseudo import FilterTable
from imbdense.data.pseudo.filters import imbalance_ratio


def test_counts_after_every_filter() -> None:
    table = FilterTable(('car', 'mast', 'sign'), 'boxes', [100, 10, 0])
    table.add('class threshold', [40, 3, 0])
    table.add('size', [40, 0, 0])
    assert table.never_predicted == ['sign']
    assert table.lost == ['mast']
    heads, rows = table.rows()
    assert heads == ['class', 'predicted', 'class threshold', 'size', 'kept']
    assert rows[1] == ['mast', '10', '3', '0', '0.0 %']
    assert rows[2][-1] == '-'
    assert rows[-1] == ['all', '110', '43', '40', '36.4 %']
    assert table.to_dict()['filters'][1] == {'filter': 'class threshold', 'left': [40, 3, 0]}


def test_a_filter_cannot_add() -> None:
    table = FilterTable(('a', 'b'), 'pixels', [5, 5])
    with pytest.raises(ValueError, match='leaves more than predicted'):
        table.add('size', [5, 6])
    with pytest.raises(ValueError, match='expected'):
        table.add('size', [5])


def test_imbalance_ratio_leaves_empty_classes_out() -> None:
    assert imbalance_ratio([100, 0, 10]) == 10
    assert imbalance_ratio([0, 0]) is None
