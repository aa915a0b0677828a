"""Classes of training and validation: more or another order is an error; fewer, or a task of its own, is not."""

from __future__ import annotations

import pytest

from imbdense.mm.datasets.class_order import ClassListError, check_class_order


@pytest.mark.parametrize(('train', 'other', 'words'), [
    ('grm', 'rgm', r"'g' is number 0 in training, 1 in validation"),
    ('grm', 'rm', r"'r' is number 1 in training, 0 in validation"),
    ('gr', 'rgm', 'the validation set has 3 classes, but the training set 2: m cannot be learnt'),
    ('grm', 'gxyz', '4 classes, but the training set 3: x, y, z cannot'),
])
def test_more_classes_or_another_order_is_named(train: str, other: str, words: str) -> None:
    with pytest.raises(ClassListError, match=words):
        check_class_order({'classes': tuple(train)}, {'classes': tuple(other)}, 'validation')


def test_equal_and_fewer_classes_a_task_of_its_own_and_none_pass() -> None:
    for other in ('grm', 'gr', 'xyz', 'grx', 'stuvw'):
        check_class_order({'classes': tuple('grm')}, {'classes': tuple(other)}, 'test')
    check_class_order({'classes': ('ground', 'roof')}, None, 'test')
    check_class_order({}, {'classes': ('ground',)}, 'test')
