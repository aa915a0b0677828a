"""How (east, north) vectors turn when the raster they lie on is flipped or turned."""

from __future__ import annotations

from typing import Any

from imbdense.core.checks import check_choice

TURNS: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    'horizontal': ((-1, 0), (0, 1)),
    'vertical': ((1, 0), (0, -1)),
    'diagonal': ((-1, 0), (0, -1)),
    'rot90': ((0, -1), (1, 0)),
    'rot180': ((-1, 0), (0, -1)),
    'rot270': ((0, 1), (-1, 0)),
    'transpose': ((0, -1), (-1, 0)),
}
"""Operation -> matrix that turns (e, n): left-right and up-down flips, both, counter-clockwise turns by 90, 180 and
270 degrees, exchange of rows and columns."""


def turn_vector(east: Any, north: Any, operation: str) -> tuple[Any, Any]:
    """Return the components of the vectors (``east``, ``north``), arrays or tensors of any equal shape, as they point
    after ``operation`` (a key of ``TURNS``); moving their pixels is the caller's part.

    h-flip (-e, n); v-flip (e, -n); 90° counter-clockwise (-n, e); 180° (-e, -n); 270° (n, -e); transpose (-n, -e).
    """
    check_choice('operation', operation, TURNS, owner='turn_vector')
    (a, b), (c, d) = TURNS[operation]
    return (a * east if a else b * north), (d * north if d else c * east)
