"""Colours of a point cloud: as seen, by height, by class, by error. One layer is one colour per point and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.report.images import RGB
from imbdense.utils.overlay import Colour

IGNORED: RGB = (70, 74, 84)
"""Points that are not counted."""
RIGHT: RGB = (205, 208, 212)
WRONG: RGB = (220, 38, 38)
HEIGHT_RAMP = ((38, 48, 112), (30, 110, 160), (44, 160, 140), (150, 200, 90), (245, 225, 90))
"""Low to high; each lighter than the one before, so that it reads in grey as well."""


@dataclass(frozen=True, eq=False)
class PointLayer:
    """One way to colour a cloud.

    Attributes:
        name: shown on the button. rgb: (N, 3) uint8. legend: (text, colour), in the order shown.
    """

    name: str
    rgb: NDArray[np.uint8]
    legend: tuple[tuple[str, Colour], ...] = ()

    def take(self, index: NDArray[np.int64]) -> PointLayer:
        """The colours of some points."""
        return PointLayer(self.name, self.rgb[index], self.legend)


def colour_layer(rgb: NDArray[np.uint8]) -> PointLayer:
    """The measured colours (N, 3) uint8."""
    return PointLayer('colour', np.ascontiguousarray(rgb))


def height_layer(z: NDArray[np.float64]) -> PointLayer:
    """Height from low to high, stretched between its 1 % and 99 %; ends of the ramp in the legend."""
    low, high = np.percentile(z, (1, 99)) if z.size else (0.0, 1.0)
    place = ((z - low) / max(high - low, 1e-6)).clip(0, 1) * (len(HEIGHT_RAMP) - 1)
    ramp = np.asarray(HEIGHT_RAMP, np.float64)
    rgb = np.stack([np.interp(place, range(len(ramp)), ramp[:, channel]) for channel in range(3)], axis=1)
    legend = ((f'{high:,.1f} m', HEIGHT_RAMP[-1]), (f'{low:,.1f} m', HEIGHT_RAMP[0]))
    return PointLayer('height', rgb.astype(np.uint8), legend)


def class_layer(
    name: str, labels: NDArray[np.int64], classes: Sequence[str], palette: Sequence[Colour]
) -> PointLayer:
    """Class colours; the legend names the classes that occur with their points, the rarest first.

    Args:
        labels: (N,) indices into ``classes``; −1 is ignored.

    Raises:
        ValueError: a label without a name.
    """
    if labels.size and not (labels.min() >= -1 and labels.max() < len(classes)):
        raise ValueError(f'{name}: labels reach from {labels.min()} to {labels.max()}, but there are {len(classes)} '
                         f'classes.')
    table = np.asarray([*palette[: len(classes)], IGNORED], np.uint8)
    counts = np.bincount(labels + 1, minlength=len(classes) + 1)
    order = [index for index in np.argsort(counts[1:], kind='stable').tolist() if counts[index + 1]]
    legend = [(f'{classes[index]} {counts[index + 1]:,}', tuple(table[index].tolist())) for index in order]
    if counts[0]:
        legend.append((f'ignored {counts[0]:,}', IGNORED))
    return PointLayer(name, table[labels], tuple(legend))  # type: ignore[arg-type]


def error_layer(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str], palette: Sequence[Colour]
) -> PointLayer:
    """Where a prediction is wrong: the colour of the class that was missed on pale grey; ignored points dark.

    The legend says of every class how many of its points were missed, the largest part first.
    """
    counted = labels >= 0
    wrong = counted & (labels != predicted)
    rgb = np.where(wrong[:, None], np.asarray([*palette, WRONG], np.uint8)[labels], np.asarray(RIGHT, np.uint8))
    rgb[~counted] = IGNORED
    truth = np.bincount(labels[counted], minlength=len(classes))
    missed = np.bincount(labels[wrong], minlength=len(classes))
    parts = missed / np.maximum(truth, 1)
    order = [index for index in np.argsort(-parts, kind='stable').tolist() if missed[index]]
    legend = [
        (f'{classes[index]} missed {missed[index]:,} of {truth[index]:,}', tuple(palette[index])) for index in order
    ]
    legend.append((f'right {int(counted.sum() - wrong.sum()):,}', RIGHT))
    if not counted.all():
        legend.append((f'ignored {int((~counted).sum()):,}', IGNORED))
    return PointLayer('error', rgb.astype(np.uint8), tuple(legend))  # type: ignore[arg-type]


def sample_points(labels: NDArray[np.int64] | None, number: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """Sorted indices of at most ``most`` points: a tenth is reserved so that rare classes stay visible.

    Every class keeps min(its points, most / 10 / classes) points at least; the rest is drawn evenly.
    """
    if number <= most:
        return np.arange(number)
    rng = np.random.default_rng(seed)
    order = rng.permutation(number)
    first: list[NDArray[np.int64]] = []
    if labels is not None:
        codes, counts = np.unique(labels, return_counts=True)
        quota = max(most // 10 // len(codes), 1)
        ranked = order[np.argsort(labels[order], kind='stable')]
        starts = np.cumsum(counts) - counts
        first = [ranked[start : start + min(quota, count)] for start, count in zip(starts, counts)]
    reserved = np.concatenate(first) if first else np.zeros(0, np.int64)
    taken = np.zeros(number, bool)
    taken[reserved] = True
    rest = order[~taken[order]][: most - len(reserved)]
    return np.sort(np.concatenate((reserved, rest)))
