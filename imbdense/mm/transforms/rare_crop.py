"""What the crops around rare classes of images share: the size of the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from imbdense.core.checks import check_integer
from imbdense.mm.transforms.rare_target import RareTarget

Window = tuple[int, int, int, int]
"""(top, left, height, width)."""


class RareCrop(RareTarget):
    """Base of the crops that are drawn around a rare class in a share ``rate`` of the cases.

    Args:
        crop_size: window (height, width), or one number for both.
        rate, classes, power, class_counts: see :class:`~imbdense.mm.transforms.rare_target.RareTarget`.
        pad_val: value for ``img`` outside the image.
    """

    card = 'rare_class_crop'

    def __init__(
        self,
        crop_size: int | Sequence[int],
        rate: float,
        classes: Sequence[int] | Literal['tail'] | None,
        power: float,
        class_counts: Sequence[float] | str | None,
        pad_val: float,
    ) -> None:
        owner = type(self).__name__
        sizes = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(sizes) != 2:
            raise ValueError(f'{owner}: crop_size must be one number or (height, width), but got {crop_size!r}.')
        self.crop_size = tuple(check_integer('crop_size', size, low=1, owner=owner) for size in sizes)
        super().__init__(rate, classes, power, class_counts)
        self.pad_val = pad_val

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, rate={self.rate}, classes={self.classes}, '
            f'power={self.power})'
        )
