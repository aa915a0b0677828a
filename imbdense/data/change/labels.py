"""Labels of change data sets as they are shipped: colour pictures, labels inside changes only, ids of transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.palettes import colour_table, colours_to_index

Unknown = Literal['error', 'ignore', 'nearest']
Label = NDArray[np.uint8]
IGNORE = 255


@dataclass(frozen=True)
class ColorMapToIndex:
    """Colours of a label picture to class indices, by a table of 24-bit colours.

    A colour that the table lacks never becomes a class silently: the readers of several published projects make it
    class 0, "unchanged".

    Attributes:
        colors: (red, green, blue) of class 0, 1, ...
        ignored: colours that become 255.
        unknown: other colours: ``'error'``; ``'ignore'`` = 255; ``'nearest'`` = the nearest colour of the table, by the
            largest difference of a channel, for labels saved with loss.
        max_distance: of ``'nearest'``; what is farther off is an error.

    Raises:
        ValueError: a colour that is none, or stands for two classes.
    """

    colors: Sequence[Sequence[int]]
    ignored: Sequence[Sequence[int]] = ()
    unknown: Unknown = 'error'
    max_distance: int = 255

    def __post_init__(self) -> None:
        check_choice('unknown', self.unknown, get_args(Unknown), owner='ColorMapToIndex')
        check_integer('max_distance', self.max_distance, low=0, high=255, owner='ColorMapToIndex')
        colour_table(self.colors, self.ignored, IGNORE)

    def __call__(self, picture: NDArray[np.uint8], path: str | Path) -> Label:
        """Return (H, W) uint8 of a picture (H, W, 3), red first.

        Raises:
            LabelReadError: an unknown colour; the message holds ``path``, the number of pixels and the first place.
        """
        return colours_to_index(
            picture,
            colour_table(self.colors, self.ignored, IGNORE),
            path,
            tolerance=self.max_distance if self.unknown == 'nearest' else 0,
            unknown_index=IGNORE if self.unknown == 'ignore' else None,
        )


def split_change_only(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[Label, Label, Label, int]:
    """Labels that know land cover inside changes only (0 = unchanged, 1 ... S) to change map and land covers.

    A pixel is changed when *either* date is labelled. Land cover k becomes k - 1; unlabelled is 255. The value 255
    stays ignored.

    Returns:
        change (H, W) of 0, 1, 255; land cover of either date; the number of pixels that are labelled at one date only,
        which clean labels do not have.
    """
    ignored = (first == IGNORE) | (second == IGNORE)
    one, two = (first > 0) & ~ignored, (second > 0) & ~ignored
    change = np.where(ignored, IGNORE, one | two).astype(np.uint8)
    covers = [np.where((label == 0) | (label == IGNORE), IGNORE, label - 1).astype(np.uint8)
              for label in (first.astype(np.int64), second.astype(np.int64))]  # fmt: skip
    return change, covers[0], covers[1], int(np.count_nonzero(one != two))


def transitions_to_dates(
    ids: NDArray[np.integer], table: Mapping[int, tuple[int, int]], path: str | Path
) -> tuple[Label, Label]:
    """Ids of transitions to the land cover of either date, by ``table``: id -> (first, second); id 0 -> (0, 0).

    Raises:
        LabelReadError: an id that the table lacks; the message holds ``path``, the ids and the first place.
    """
    lookup = np.full((256, 2), -1, np.int16)
    for number, pair in {0: (0, 0), **table}.items():
        lookup[number] = pair
    inside = (ids >= 0) & (ids < 256)
    found = lookup[np.where(inside, ids, 0)]
    strange = ~inside | (found[..., 0] < 0)
    if strange.any():
        row, column = np.argwhere(strange)[0].tolist()
        raise LabelReadError(
            path, 'values', f'holds {int(strange.sum())} pixels with the ids {np.unique(ids[strange])[:8].tolist()}, '
            f'which are no transition; the first is at row {row}, column {column}.', 'Known are '
            f'{sorted({0, *table})}. Is this the label of transitions?',
        )
    return found[..., 0].astype(np.uint8), found[..., 1].astype(np.uint8)


def transition_ids(change: NDArray[np.integer], covers: Sequence[NDArray[Any]], num_classes: int) -> NDArray[np.int32]:
    """(H, W) int32: S * first + second where changed and both known, -1 where unchanged, -2 elsewhere.

    Args:
        change: 0 unchanged, 255 ignored, anything else changed.
        covers: land cover per date, 0 ... S - 1, 255 unknown; the first and the last date count.
        num_classes: S.
    """
    first, last = covers[0].astype(np.int32), covers[-1].astype(np.int32)
    known = (change != IGNORE) & (change != 0) & (first < num_classes) & (last < num_classes)
    return np.where(change == 0, -1, np.where(known, num_classes * first + last, -2)).astype(np.int32)
