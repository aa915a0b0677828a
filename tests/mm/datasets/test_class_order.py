"""Classes of training and validation: another order is an error, another list is not."""

from __future__ import annotations

from typing import Any

import pytest

from imbdense.mm.datasets.class_order import check_class_order


def data_set(*names: str) -> Any:
    return {'classes': names}


def test_another_order_is_named() -> None:
    with pytest.raises(ValueError, match=r"'ground' is number 0 in training, 1 in validation"):
        check_class_order(data_set('ground', 'roof', 'mast'), data_set('roof', 'ground', 'mast'), 'validation')


def test_equal_lists_other_lists_and_none_pass() -> None:
    check_class_order(data_set('ground', 'roof'), data_set('ground', 'roof'), 'test')
    check_class_order(data_set('ground', 'roof'), data_set('roof', 'ground', 'mast'), 'validation')
    check_class_order(data_set('ground', 'roof'), None, 'test')
