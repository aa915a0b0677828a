"""Budgets of minutes: what rounding does to sums of costs, which are decimals in float32."""

from __future__ import annotations

import math

SHARE = 1e-6


def slack(minutes: float) -> float:
    """By how much costs may pass a budget of ``minutes``: a millionth of it, 0 where it is infinite.

    Ten images of 0.1 minutes are one minute, although ten times the float32 next to 0.1 is 1.000000015.
    """
    return SHARE * minutes if math.isfinite(minutes) else 0.0


def spendable(minutes: float) -> float:
    """What the costs of a budget of ``minutes`` may add up to."""
    return minutes + slack(minutes)


def whole_images(images: float) -> int:
    """``images`` rounded up, but not for what rounding has added to a whole number."""
    nearest = round(images)
    return nearest if abs(images - nearest) <= SHARE * images else math.ceil(images)
