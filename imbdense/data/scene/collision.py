"""Which footprints are taken: oriented boxes, a vectorised circle broad phase, a separating-axis narrow phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class CollisionIndex:
    """A growing set of oriented rectangles in the plane."""

    def __init__(self) -> None:
        self._rows: NDArray[np.float64] = np.empty((256, 6))  # x, y, hx, hy, yaw, circumradius
        self._count = 0

    def add(self, x: float, y: float, half: tuple[float, float], yaw: float) -> None:
        """Take the rectangle with centre (x, y), half sizes ``half`` and angle ``yaw`` (rad)."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = (x, y, half[0], half[1], yaw, np.hypot(*half))
        self._count += 1

    def is_free(self, x: float, y: float, half: tuple[float, float], yaw: float) -> bool:
        """Return whether the rectangle overlaps none that was added (touching counts as free)."""
        rows = self._rows[: self._count]
        offset = rows[:, :2] - (x, y)
        near = np.einsum('ij,ij->i', offset, offset) < (rows[:, 5] + np.hypot(*half)) ** 2
        if not near.any():
            return True
        return not bool(_overlap(offset[near], rows[near], half, yaw).any())


def _overlap(offset: NDArray[np.float64], rows: NDArray[np.float64], half: tuple[float, float], yaw: float
             ) -> NDArray[np.bool_]:
    """Separating-axis test of one rectangle against several: overlap unless one of the four axes separates them."""
    turn = rows[:, 4] - yaw
    cosine, sine = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    own = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    local = np.abs(offset @ own.T)
    separated = local[:, 0] >= half[0] + rows[:, 2] * cosine + rows[:, 3] * sine
    separated |= local[:, 1] >= half[1] + rows[:, 2] * sine + rows[:, 3] * cosine
    other_x = np.abs(offset[:, 0] * np.cos(rows[:, 4]) + offset[:, 1] * np.sin(rows[:, 4]))
    other_y = np.abs(-offset[:, 0] * np.sin(rows[:, 4]) + offset[:, 1] * np.cos(rows[:, 4]))
    separated |= other_x >= rows[:, 2] + half[0] * cosine + half[1] * sine
    separated |= other_y >= rows[:, 3] + half[0] * sine + half[1] * cosine
    return ~separated
