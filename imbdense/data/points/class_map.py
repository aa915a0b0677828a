"""From the codes of a data set to train ids."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.errors import PointReadError

IGNORED = -1


@dataclass(frozen=True)
class ClassMap:
    """Classes to train, and which codes of the file they gather.

    Attributes:
        classes: names; train id = position.
        palette: one (red, green, blue) per class.
        label_map: code -> train id, -1 = ignored on purpose. The code -1 (no label) is always ignored.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    label_map: Mapping[int, int]

    def __post_init__(self) -> None:
        if len(self.palette) != len(self.classes):
            raise ValueError(f'{len(self.classes)} classes need as many colours, but there are {len(self.palette)}.')
        wrong = {code: train for code, train in self.label_map.items() if not -1 <= train < len(self.classes)}
        if wrong:
            raise ValueError(
                f'label_map names train ids that no class has: {wrong}. There are {len(self.classes)} classes, so they '
                f'go from 0 to {len(self.classes) - 1}; -1 = ignored.'
            )

    def apply(
        self, codes: NDArray[np.int64], *, owner: str, unknown: Literal['error', 'ignore'] = 'error'
    ) -> NDArray[np.int64]:
        """Train ids (N,) int64 of codes (N,); see :func:`map_codes`."""
        return map_codes(codes, self.label_map, owner=owner, unknown=unknown)


def map_codes(
    codes: NDArray[np.int64],
    label_map: Mapping[int, int],
    *,
    owner: str,
    unknown: Literal['error', 'ignore'] = 'error',
) -> NDArray[np.int64]:
    """Train ids of the codes of a file.

    Args:
        codes: (N,) int64; -1 = no label, stays -1.
        label_map: code -> train id, -1 = ignored.
        owner: file or scene, for the message.
        unknown: what becomes of a code that the map does not name: ``'error'``, or ``'ignore'`` = -1.

    Raises:
        PointReadError: codes that the map does not name; the message lists each with its number of points.
    """
    if unknown not in ('error', 'ignore'):
        raise ValueError(f"unknown must be 'error' or 'ignore', but is {unknown!r}.")
    present, inverse = np.unique(codes, return_inverse=True)
    named = {IGNORED: IGNORED, **label_map}
    lacking = [code for code in present.tolist() if code not in named]
    if lacking and unknown == 'error':
        counts = np.bincount(inverse, minlength=len(present))
        listed = ', '.join(f'{code} ({counts[np.searchsorted(present, code)]} points)' for code in lacking)
        raise PointReadError(
            owner, 'labels', f'has classes that the label map does not name: {listed}.',
            "Add them to label_map (-1 = ignored), or ignore all such points with unknown='ignore'.",
        )
    table = np.array([named.get(code, IGNORED) for code in present.tolist()], np.int64)
    return table[inverse] if len(codes) else np.zeros(0, np.int64)


def spread_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """``count`` colours that differ: hues a golden angle apart, saturation and value in turns; always the same."""
    colours = []
    for number in range(count):
        hue, saturation = number * 0.61803398875 % 1, (0.9, 0.55, 0.75)[number % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, (0.95, 0.75, 0.55)[number // 3 % 3])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)
