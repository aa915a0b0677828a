"""Training and validation must number their classes alike, or every score belongs to another class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CURE = 'Give both the same metainfo.classes (of clouds: mapping, classes), in the same order.'


class ClassListError(ValueError):
    """The data sets and the model do not have the same classes; the message names what differs."""


def check_class_order(train: Mapping[str, Any] | None, other: Mapping[str, Any] | None, kind: str) -> None:
    """Compare the class lists (``'classes'``) of two ``metainfo``; one without a list is not compared.

    Lists of other classes are no fault by themselves: a validation set may have fewer, or a task of its own, which is
    one that shares no class.

    Args:
        train: of the training set, or as a checkpoint keeps it. other, kind: of the 'validation' or 'test' set.

    Raises:
        ClassListError: more classes than are learnt, or a class under another number.
    """
    names, others = class_names(train), class_names(other)
    shared = [name for name in names if name in others]
    if shared and len(others) > len(names):
        more = [name for name in others if name not in names]
        raise ClassListError(
            f'the {kind} set has {len(others)} classes, but the training set {len(names)}: {", ".join(more[:5])} '
            f'cannot be learnt. {CURE}'
        )
    moved = [name for name in shared if names.index(name) != others.index(name)]
    if moved:
        raise ClassListError(
            f'the {kind} set numbers the classes in another way than the training set: {moved[0]!r} is number '
            f'{names.index(moved[0])} in training, {others.index(moved[0])} in {kind} ({", ".join(names[:5])}; '
            f'{", ".join(others[:5])}). {CURE}'
        )


def class_names(metainfo: Mapping[str, Any] | None) -> list[str]:
    """The names, none where the data set does not tell."""
    found = (metainfo or {}).get('classes') or ()
    return [found] if isinstance(found, str) else list(map(str, found))
