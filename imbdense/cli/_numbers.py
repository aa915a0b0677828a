"""Numbers on the command line: out of range is told by the option's name, before anything is loaded or written."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """``type=`` of an option that takes whole numbers from ``low`` to ``high``."""
    words = f'of at least {low}' if high is None else f'from {low} to {high}'

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f'must be a whole number {words}, but is {text}.')
        return value

    return parse


def number(low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """``type=`` of an option that takes finite numbers from ``low`` (``above``: without it) to ``high``."""
    words = f' above {low:g}' if above else f' of at least {low:g}' if low > -math.inf else ''
    words += f' and at most {high:g}' if high < math.inf else ''

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not low <= value <= high or (above and value == low):
            raise argparse.ArgumentTypeError(f'must be a finite number{words}, but is {text}.')
        return value

    return parse


seed_number = whole(0, 2**32 - 1)
"""``type=`` of every ``--seed``: what NumPy and torch both take."""

share, positive_share = number(0, 1), number(0, 1, above=True)
