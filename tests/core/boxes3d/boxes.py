"""Random boxes, and the slow way to clip polygons."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Polygon = list[tuple[float, float]]


def random_boxes(count: int, seed: int = 0, span: float = 6.0) -> Tensor:
    """(count, 7) float64 boxes of 0.5 to 4.5 m that often overlap."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 7, generator=generator, dtype=torch.float64)
    boxes[:, :2] *= span
    boxes[:, 3:6] = boxes[:, 3:6] * 4 + 0.5
    boxes[:, 6] = boxes[:, 6] * 12 - 6
    return boxes


def corners_of(box: list[float]) -> Polygon:
    """Counter-clockwise corners."""
    x, y, _, length, width, _, yaw = box
    cosine, sine = math.cos(yaw), math.sin(yaw)
    found = []
    for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
        u, v = a * length / 2, b * width / 2
        found.append((x + u * cosine - v * sine, y + u * sine + v * cosine))
    return found


def clip(polygon: Polygon, window: Polygon) -> Polygon:
    """Sutherland and Hodgman: what of ``polygon`` lies inside the convex ``window``."""
    for start, end in zip(window, window[1:] + window[:1]):
        def side(p: tuple[float, float], s: tuple[float, float] = start, e: tuple[float, float] = end) -> float:
            return (e[0] - s[0]) * (p[1] - s[1]) - (e[1] - s[1]) * (p[0] - s[0])

        kept: Polygon = []
        for here, following in zip(polygon, polygon[1:] + polygon[:1]):
            a, b = side(here), side(following)
            if a >= 0:
                kept.append(here)
            if (a > 0 > b) or (a < 0 < b):
                t = a / (a - b)
                kept.append((here[0] + t * (following[0] - here[0]), here[1] + t * (following[1] - here[1])))
        polygon = kept
        if not polygon:
            break
    return polygon


def area(polygon: Polygon) -> float:
    """Shoelace formula."""
    pairs = zip(polygon, polygon[1:] + polygon[:1])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def slow_bev_iou(first: Tensor, second: Tensor) -> Tensor:
    """(N, M), pair by pair."""
    table = torch.zeros(len(first), len(second), dtype=torch.float64)
    for i, a in enumerate(first.tolist()):
        for j, b in enumerate(second.tolist()):
            shared = area(clip(corners_of(a), corners_of(b)))
            table[i, j] = shared / (a[3] * a[4] + b[3] * b[4] - shared)
    return table
