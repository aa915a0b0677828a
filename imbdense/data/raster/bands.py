"""What the bands of an input are: names, kinds and roles, which decide what a transform may do to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbdense.core.checks import check_choice

KINDS = ('image', 'elevation', 'terrain', 'index')
"""Light measured by a camera; heights in metres; derivatives of heights; anything else."""
ROLES = ('red', 'green', 'blue', 'nir', 'east', 'north')


@dataclass(frozen=True)
class Band:
    """One band: ``name``; ``kind`` (photometric transforms touch 'image' only); ``role``: 'red', 'green', 'blue' (hue
    and saturation need all three), 'nir', 'east' and 'north' (components of a vector, which turn with the raster)."""

    name: str
    kind: str = 'image'
    role: str | None = None

    def __post_init__(self) -> None:
        check_choice('kind', self.kind, KINDS, owner='Band')
        if self.role is not None:
            check_choice('role', self.role, ROLES, owner='Band')

    @classmethod
    def of(cls, value: Any) -> Band:
        """Return a band from a band, a name, or a mapping with the fields."""
        if isinstance(value, Band):
            return value
        return cls(**value) if isinstance(value, Mapping) else cls(str(value))


def vector_pairs(bands: Sequence[Band]) -> list[tuple[int, int]]:
    """Return (index of 'east', index of 'north') of every vector; each 'east' is followed by its 'north'.

    Raises:
        ValueError: a component without its partner.
    """
    pairs = []
    for number, band in enumerate(bands):
        if band.role == 'east':
            if number + 1 >= len(bands) or bands[number + 1].role != 'north':
                raise ValueError(f"band {number} ({band.name}) is the east component of a vector, but the next band is "
                                 f"not its north component.")
            pairs.append((number, number + 1))
        elif band.role == 'north' and (number == 0 or bands[number - 1].role != 'east'):
            raise ValueError(f'band {number} ({band.name}) is a north component without its east component before it.')
    return pairs
