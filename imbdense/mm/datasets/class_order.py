"""Training and validation must number their classes alike, or every score belongs to another class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def check_class_order(train: Mapping[str, Any] | None, other: Mapping[str, Any] | None, kind: str) -> None:
    """Compare the class lists (``'classes'``) of two ``metainfo``; one without a list is not compared.

    Lists of other classes are no fault by themselves: a validation set may have fewer or more, or a task of its own.

    Args:
        train: of the training set, or as a checkpoint keeps it. other, kind: of the 'validation' or 'test' set.

    Raises:
        ValueError: the same classes in another order.
    """
    names, others = _classes(train), _classes(other)
    if sorted(names) == sorted(others) and names != others:
        moved = [name for name in names if names.index(name) != others.index(name)]
        raise ValueError(
            f'the {kind} set numbers the classes in another way than the training set: {moved[0]!r} is number '
            f'{names.index(moved[0])} in training, {others.index(moved[0])} in {kind} ({", ".join(names[:5])}; '
            f'{", ".join(others[:5])}). Give both the same metainfo.classes (or mapping), in the same order.'
        )


def _classes(metainfo: Mapping[str, Any] | None) -> list[str]:
    """The names, none where the data set does not tell."""
    return list(map(str, (metainfo or {}).get('classes') or ()))
