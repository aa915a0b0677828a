"""Training and validation must number their classes alike, or every score belongs to another class."""

from __future__ import annotations

from typing import Any


def check_class_order(train: Any, validation: Any) -> None:
    """Compare the class lists (``metainfo['classes']``) of two data sets; one without a list is not compared.

    Lists of other classes are no fault by themselves: a validation set may have fewer or more, or a task of its own.

    Raises:
        ValueError: the same classes in another order.
    """
    names, others = _classes(train), _classes(validation)
    if sorted(names) == sorted(others) and names != others:
        moved = [name for name in names if names.index(name) != others.index(name)]
        raise ValueError(
            f'the validation set numbers the classes in another way than the training set: {moved[0]!r} is number '
            f'{names.index(moved[0])} in training, {others.index(moved[0])} in validation ({", ".join(names[:5])}; '
            f'{", ".join(others[:5])}). Give both the same metainfo.classes (or mapping), in the same order.'
        )


def _classes(dataset: Any) -> list[str]:
    """The names, none where the data set does not tell."""
    return list(map(str, (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()))
