"""Colours (linear albedo) the assets draw from."""

from __future__ import annotations

import colorsys

import numpy as np

from imbdense.data.scene.mesh import Color

ROOFS: tuple[Color, ...] = ((0.42, 0.16, 0.10), (0.30, 0.22, 0.18), (0.20, 0.20, 0.22), (0.50, 0.34, 0.24))
FLAT_ROOFS: tuple[Color, ...] = ((0.62, 0.62, 0.60), (0.42, 0.42, 0.42), (0.54, 0.48, 0.40), (0.72, 0.70, 0.66))
FACADES: tuple[Color, ...] = ((0.66, 0.60, 0.50), (0.55, 0.30, 0.22), (0.70, 0.70, 0.68), (0.48, 0.46, 0.42),
                              (0.62, 0.55, 0.34), (0.38, 0.42, 0.46))
GLASS: Color = (0.05, 0.07, 0.09)
RUBBER: Color = (0.03, 0.03, 0.03)
METAL: Color = (0.42, 0.43, 0.45)
CYCLES: tuple[Color, ...] = ((0.02, 0.60, 0.62), (0.75, 0.04, 0.42), (0.45, 0.10, 0.70))
SIGNS: tuple[Color, ...] = ((0.90, 0.68, 0.02), (0.88, 0.80, 0.10), (0.92, 0.92, 0.90))
POLES: tuple[Color, ...] = ((0.66, 0.67, 0.66), (0.78, 0.78, 0.74))
BINS: tuple[Color, ...] = ((0.85, 0.30, 0.02), (0.70, 0.16, 0.02), (0.62, 0.44, 0.22))


def pick(rng: np.random.Generator, colors: tuple[Color, ...], spread: float = 0.08) -> Color:
    """Return one of ``colors`` with its brightness varied by a normal factor of deviation ``spread``."""
    color = colors[int(rng.integers(len(colors)))]
    gain = float(np.clip(1 + spread * rng.standard_normal(), 0.6, 1.4))
    return (color[0] * gain, color[1] * gain, color[2] * gain)


def paint(rng: np.random.Generator, saturated: float = 0.55) -> Color:
    """Return a vehicle paint: a random muted hue with probability ``saturated``, else white, silver, grey or black."""
    if float(rng.uniform()) < saturated:
        return colorsys.hsv_to_rgb(float(rng.uniform()), float(rng.uniform(0.5, 0.8)), float(rng.uniform(0.2, 0.5)))
    grey = float(rng.choice([0.85, 0.55, 0.25, 0.05])) * float(rng.uniform(0.9, 1.1))
    return (grey, grey, grey * 1.02)


def foliage(rng: np.random.Generator) -> Color:
    """Return a crown colour inside (.15–.30, .30–.45, .10–.20)."""
    return (float(rng.uniform(0.12, 0.24)), float(rng.uniform(0.26, 0.38)), float(rng.uniform(0.08, 0.16)))
