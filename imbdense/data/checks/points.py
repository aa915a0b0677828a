"""Checks of a split of labelled point clouds: files, codes, ignored scenes, density, repeated points, attributes,
coordinate systems."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.checks.segmentation import class_findings, empty_labels
from imbdense.data.checks.splits import PointSplit
from imbdense.data.finding import Finding
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.crs import NO_CRS, crs_name
from imbdense.data.points.layout import Scene
from imbdense.data.points.source import PointLabelFormat
from imbdense.data.readers.errors import LabelReadError

REPEATED = 0.01
"""Share of points at the place of another one from which it is told."""
DENSITIES = 10.0
"""How many times denser the densest scene may be than the thinnest."""
FILLED = 8
"""Points that the squares should hold on average, for their number to tell an area."""


def point_findings(
    split: PointSplit, *, workers: int | None = None, progress: Callable[[str], None] = lambda text: None
) -> list[Finding]:
    """Everything that is wrong with the scenes of one split.

    Scenes that cannot be read, without labels, with codes that are no class, or whose points are all ignored (errors);
    classes that no scene holds, mostly ignored points, one scene ten times denser than another, points that lie at the
    same place, colours that are all 0, attributes with NaN or infinite values (warnings). Attributes that the pipeline
    takes and a scene lacks (errors), or that other scenes have (warnings); scenes in other coordinate systems, or in
    none (warnings).
    """
    progress(f'{split.name}: counting {len(split.labels)} scenes')
    result = split.scan(workers=workers)
    found = [*split.findings, *result.findings, *empty_labels(result), *class_findings(result)]
    broken = {os.path.abspath(finding.file) for finding in result.errors}  # the scan knows absolute names
    source = split.label_format.source if isinstance(split.label_format, PointLabelFormat) else None
    densities: dict[str, float] = {}
    attributes: dict[str, set[str]] = {}
    systems: dict[str, str] = {}
    for path in split.labels:
        if source is None or os.path.abspath(path) in broken:
            continue
        progress(f'{split.name}: looking at {path}')
        try:
            cloud = source.layout.cloud(Scene(Path(path).stem, Path(path)))
        except LabelReadError as error:
            found.append(Finding('error', error.code, error.path, error.problem, error.cure))
            continue
        densities[path], attributes[path], systems[path] = density(cloud.xyz), set(cloud.attributes), cloud.crs or ''
        found += _repeated(path, cloud) + _empty_colours(path, cloud) + _not_finite(path, cloud)
    found += _uneven(densities) + lacking_attributes(attributes, split.wanted, split.filled) + other_systems(systems)
    return [replace(finding, split=split.name) for finding in found]


def density(xyz: NDArray[np.float64]) -> float:
    """Points per square metre of the squares that hold any; the squares grow from 1 m until they hold 8 on average."""
    local, side = xyz[:, :2] - xyz[:, :2].min(axis=0), 1.0
    while True:
        cells = (local / side).astype(np.int64)
        occupied = np.unique(cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1]).size
        if occupied == 1 or len(xyz) >= FILLED * occupied:
            return len(xyz) / (occupied * side**2)
        side *= 2


def _repeated(path: str, cloud: PointCloud) -> list[Finding]:
    """Many points at one place."""
    order = np.lexsort(cloud.xyz.T)
    same = (np.diff(cloud.xyz[order], axis=0) == 0).all(axis=1)
    number = int(same.sum())
    if number <= REPEATED * len(cloud):
        return []
    disagree = ''
    if cloud.semantic is not None:
        labels = cloud.semantic[order]
        different = int((same & (labels[1:] != labels[:-1])).sum())
        disagree = f', {different:,} of them with another label' if different else ''
    return [Finding(
        'warning', 'repeated_points', path,
        f'{number:,} points ({100 * number / len(cloud):.3g} %) lie at the place of another one{disagree}.',
        'Overlapping strips or blocks with both borders? Remove the copies: they count double.',
    )]  # fmt: skip


def _empty_colours(path: str, cloud: PointCloud) -> list[Finding]:
    """Colours that nobody filled in."""
    empty = [name for name in ('rgb', 'nir') if name in cloud.attributes and not cloud.attributes[name].any()]
    if not empty:
        return []
    named = ' and '.join(empty)
    return [Finding(
        'warning', 'empty_colours', path, f'has room for {named}, but all values are 0.',
        f'Leave {named} out of features, or a model learns that black means this file.',
    )]  # fmt: skip


def _not_finite(path: str, cloud: PointCloud) -> list[Finding]:
    """Attributes that a model cannot take."""
    bad = {name: int((~np.isfinite(values)).reshape(len(cloud), -1).any(axis=1).sum())
           for name, values in cloud.attributes.items() if np.issubdtype(values.dtype, np.floating)}  # fmt: skip
    named = ', '.join(f'{name} ({number:,} points)' for name, number in bad.items() if number)
    if not named:
        return []
    return [Finding(
        'warning', 'not_finite', path, f'has NaN or infinite values of {named}.',
        'Clean them, or leave these attributes out of features: training stops at the first such point.',
    )]  # fmt: skip


def _uneven(densities: dict[str, float]) -> list[Finding]:
    """One finding for the thinnest scene of an uneven split."""
    if len(densities) < 2:
        return []
    thin, dense = min(densities, key=lambda p: densities[p]), max(densities, key=lambda p: densities[p])
    if densities[dense] < DENSITIES * densities[thin]:
        return []
    return [Finding(
        'warning', 'uneven_density', thin,
        f'has {densities[thin]:.3g} points per m², but {dense} has {densities[dense]:.3g}.',
        'Counts of points compare the classes of the dense scenes; sample a grid (imbdense.GridSample) before counting '
        'and training.',
    )]  # fmt: skip


def lacking_attributes(
    attributes: Mapping[str, Collection[str]], wanted: Collection[str] | None, filled: Collection[str]
) -> list[Finding]:
    """Scenes without what the pipeline takes (errors); where it takes all there is, without what others have
    (warnings)."""
    number = Counter(name for names in attributes.values() for name in names) if wanted is None else Counter()
    found = []
    for path, names in attributes.items():
        if missing := [name for name in wanted or () if name not in {*names, *filled}]:
            found.append(Finding(
                'error', 'missing_attributes', path,
                f'has no {", ".join(missing)}, which the pipeline takes; it has {", ".join(sorted(names)) or "none"}.',
                'Leave them out of LoadPoints(attributes=...), or give a value for such files: fill=dict(rgb=0.5).',
            ))  # fmt: skip
        others = [name for name in sorted(number) if name not in {*names, *filled}]
        if others:
            told = ', '.join(f'{name} ({number[name]} of {len(attributes)} scenes have it)' for name in others)
            found.append(Finding(
                'warning', 'uneven_attributes', path, f'has no {told}.',
                'Name the attributes that all scenes have in LoadPoints(attributes=...), or give a value with fill=.',
            ))  # fmt: skip
    return found


def other_systems(systems: Mapping[str, str]) -> list[Finding]:
    """Scenes that are not in the coordinate system of most scenes of the split; '' = none is told."""
    named = {crs: crs_name(crs) for crs in set(systems.values())}
    number = Counter(named[crs] for crs in systems.values())
    if len(number) < 2:
        return []
    usual = max(number, key=lambda name: (name != NO_CRS, number[name], name))
    return [
        Finding(
            'warning', 'other_crs', path, f'has {named[crs]}, but {number[usual]} of {len(systems)} scenes {usual}.',
            'Transform it, or write the missing coordinate system into the file: `imbdense predict points` takes files '
            'of one system at a time, and heights and units may differ.',
        )
        for path, crs in systems.items() if named[crs] != usual
    ]  # fmt: skip
