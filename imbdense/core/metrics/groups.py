"""Frequency groups (head / medium / tail, rare / common / frequent): one grouping for pixels, boxes, points, volumes.

A group mean says nothing without the count behind it, so a grouping always carries which count it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

GroupSpec = str | Mapping[str, Sequence[Any]] | None


@dataclass(frozen=True)
class FrequencyGroups:
    """Named groups of class indices.

    Attributes:
        members: group name -> class indices, in the order the groups are reported.
        source: which count made the groups, in words (for example ``'pixels of the training set'``).
        ungrouped: classes that fell into no group (counted zero times, or outside every range).
    """

    members: dict[str, tuple[int, ...]]
    source: str
    ungrouped: tuple[int, ...] = field(default=())

    @classmethod
    def thirds(cls, counts: ArrayLike, *, source: str) -> FrequencyGroups:
        """Head, medium and tail = the most frequent third of the classes, the middle, the rarest third.

        Of the C classes with a positive count, round(C / 3) are head and as many tail, the rest is the middle (C = 2:
        head and tail; C = 1: head only). Classes counted zero times are in no group. Equal counts are ordered by index.
        """
        values = _check_counts(counts)
        order = [i for i in np.argsort(-values, kind='stable').tolist() if values[i] > 0]
        size = max(round(len(order) / 3), 1)
        if len(order) == 1:
            parts = {'head': order}
        else:
            parts = {'head': order[:size], 'medium': order[size:-size], 'tail': order[-size:]}
        members = {name: tuple(sorted(part)) for name, part in parts.items() if part}
        return cls(members, source, _left_over(members, len(values)))

    @classmethod
    def by_thresholds(
        cls, counts: ArrayLike, ranges: Mapping[str, Sequence[int | None]], *, source: str
    ) -> FrequencyGroups:
        """Groups by inclusive count ranges, for example ``dict(rare=(1, 10), common=(11, 100), frequent=(101, None))``.

        ``None`` as the upper end means no limit. Raises ``ValueError`` for an empty or overlapping range.
        """
        values = _check_counts(counts)
        limits = {name: _check_range(name, pair) for name, pair in ranges.items()}
        ordered = sorted(limits.items(), key=lambda item: item[1])
        for (first, (_, high)), (second, (low, _)) in pairwise(ordered):
            if low <= high:
                raise ValueError(f"groups: '{first}' ends at {high} but '{second}' begins at {low}; they overlap.")
        members = {
            name: tuple(np.flatnonzero((values >= low) & (values <= high)).tolist())
            for name, (low, high) in limits.items()
        }
        return cls(members, source, _left_over(members, len(values)))

    @classmethod
    def by_names(cls, classes: Sequence[str], lists: Mapping[str, Sequence[str]]) -> FrequencyGroups:
        """Groups from explicit lists of class names. A class may be in one group only."""
        index = {name: i for i, name in enumerate(classes)}
        members: dict[str, tuple[int, ...]] = {}
        taken: dict[str, str] = {}
        for group, names in lists.items():
            for name in names:
                if name not in index:
                    raise ValueError(f"groups: '{name}' in group '{group}' is not a class; classes: {list(classes)}.")
                if name in taken:
                    raise ValueError(f"groups: '{name}' is in both '{taken[name]}' and '{group}'.")
                taken[name] = group
            members[group] = tuple(sorted(index[name] for name in names))
        return cls(members, 'class lists of the config', _left_over(members, len(index)))

    def means(self, values: ArrayLike) -> dict[str, float]:
        """Mean of ``values`` (C,) per group; NaN entries are left out, a group without any value is NaN."""
        return group_means(values, self)


def make_groups(spec: GroupSpec, counts: ArrayLike, classes: Sequence[str], *, source: str) -> FrequencyGroups:
    """Build groups from what a config says.

    Args:
        spec: ``None`` or ``'thirds'``; a dict of (low, high) count ranges; or a dict of lists of class names.
        counts: counts per class (C,). classes: class names (C,). source: which count it is, in words.

    Raises:
        ValueError / TypeError: the spec is none of these, or does not fit the classes; the message says how.
    """
    if np.shape(counts) != (len(classes),):
        raise ValueError(
            f'groups: class_counts has shape {np.shape(counts)} but there are {len(classes)} classes. Were the classes '
            f'counted with the same class list and the same reduce_zero_label?'
        )
    if spec is None or spec == 'thirds':
        return FrequencyGroups.thirds(counts, source=source)
    if isinstance(spec, str) or not isinstance(spec, Mapping) or not spec:
        raise ValueError(
            "groups must be 'thirds', a dict of count ranges such as dict(rare=(1, 10), common=(11, None)), or a dict "
            f'of lists of class names, but got {spec!r}.'
        )
    if all(all(isinstance(item, str) for item in value) for value in spec.values()):
        return FrequencyGroups.by_names(classes, spec)
    return FrequencyGroups.by_thresholds(counts, spec, source=source)


def group_means(values: ArrayLike, groups: FrequencyGroups) -> dict[str, float]:
    """Mean of ``values`` (C,) over the members of each group; NaN is left out, an empty group gives NaN."""
    array = np.asarray(values, dtype=np.float64)
    return {name: mean_present(array[list(members)]) for name, members in groups.members.items()}


def mean_present(values: ArrayLike) -> float:
    """Mean of the entries that are not NaN; NaN when there is none."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(array.mean()) if array.size else float('nan')


def _check_counts(counts: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Counts as float64 (C,), finite and not negative."""
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f'groups: counts must hold one number per class, but have shape {values.shape}.')
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f'groups: counts must be finite and >= 0, but are {values.tolist()}.')
    return values


def _check_range(name: str, pair: Sequence[int | None]) -> tuple[float, float]:
    """(low, high) with ``None`` = no limit."""
    if len(pair) != 2 or any(isinstance(end, str) for end in pair):
        raise TypeError(f"groups: '{name}' must be (low, high) or a list of class names, but is {pair!r}.")
    low = 0.0 if pair[0] is None else float(pair[0])
    high = float('inf') if pair[1] is None else float(pair[1])
    if low > high:
        raise ValueError(f"groups: '{name}' has the empty range {tuple(pair)}.")
    return low, high


def _left_over(members: Mapping[str, tuple[int, ...]], num_classes: int) -> tuple[int, ...]:
    """Classes that no group holds."""
    grouped = {index for part in members.values() for index in part}
    return tuple(index for index in range(num_classes) if index not in grouped)
