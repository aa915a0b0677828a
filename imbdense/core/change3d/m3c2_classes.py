"""From M3C2 distances to kinds of change: the baseline that needs no training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d.components import density_components
from imbdense.core.change3d.m3c2_result import M3C2Result
from imbdense.core.checks import check_integer, check_number

Floats = NDArray[np.float64]
UNCHANGED, NEW_BUILDING, DEMOLITION, NEW_VEGETATION, GROWTH, MISSING_VEGETATION, MOBILE = range(7)
"""The classes of Urb3DCD-V2."""


@dataclass(frozen=True)
class M3C2ClassRules:
    """Thresholds of :func:`classify_changes`; metres where nothing else is said.

    Attributes:
        t_min: changes smaller than this are none, however significant (grass, noise of the registration).
        planarity: least planarity of a built surface. roof, facade: a built surface has a verticality <= roof or
            >= facade; what lies between is neither level nor upright.
        mobile_volume: built-looking components with less changed volume are mobile objects, m^3.
        spacing: of the core points; components join points within 2 spacings.
        min_points: least points of a dense neighbourhood and of a component.
    """

    t_min: float = 0.5
    planarity: float = 0.4
    roof: float = 0.5
    facade: float = 0.65
    mobile_volume: float = 60.0
    spacing: float = 1.0
    min_points: int = 8

    def __post_init__(self) -> None:
        for name in ('t_min', 'planarity', 'roof', 'facade', 'mobile_volume'):
            check_number(name, getattr(self, name), low=0.0, owner='M3C2ClassRules')
        check_number('spacing', self.spacing, low=0.0, low_open=True, owner='M3C2ClassRules')
        check_integer('min_points', self.min_points, low=1, owner='M3C2ClassRules')


def classify_changes(
    core_points: Floats,
    distances: M3C2Result,
    epoch1: Floats,
    shape1: Floats,
    epoch2: Floats,
    shape2: Floats,
    rules: M3C2ClassRules | None = None,
) -> NDArray[np.int64]:
    """Return the class (N,) in [0, 7) of each core point.

    1. \\|d\\| <= LoD, \\|d\\| < t_min or d unknown: unchanged. d > 0: something appeared, d < 0: it disappeared.
    2. Appeared and disappeared points form components (DBSCAN); noise and small components are unchanged.
    3. A component is built if most of its points lie on a planar surface, level or upright, in the epoch that has the
       object (2 if it appeared, else 1); otherwise it is vegetation.
    4. Built with less than ``mobile_volume`` of change (sum \\|d\\| spacing^2): mobile object. Otherwise new building
       or demolition. Vegetation that appeared where most points lay on vegetation before: growth; else new, or missing.

    The rules treat both epochs alike: with the same core points and normals, swapping the epochs swaps new building
    and demolition exactly.

    Args:
        core_points: (N, 3). distances: of :func:`m3c2` at these, with ``engine='numpy'`` (positions are needed).
        epoch1, epoch2: (M, 3) the clouds. shape1, shape2: (M, 2) planarity and verticality at their points.

    Raises:
        ValueError: sizes differ, or ``distances`` without positions.
    """
    rules = rules or M3C2ClassRules()
    for name, cloud, shape in (('shape1', epoch1, shape1), ('shape2', epoch2, shape2)):
        if np.shape(shape) != (len(cloud), 2):
            raise ValueError(f'classify_changes: {name} must be ({len(cloud)}, 2), but is {np.shape(shape)}.')
    if len(distances) != len(core_points):
        raise ValueError(f'classify_changes: {len(distances)} distances for {len(core_points)} core points.')
    size = np.abs(distances.distance)
    changed = distances.significant & (size >= rules.t_min)
    if changed.any() and np.isnan(distances.position1[changed]).all():
        raise ValueError("classify_changes: positions are missing; measure with m3c2(..., engine='numpy').")
    classes = np.full(len(core_points), UNCHANGED, dtype=np.int64)
    for appeared in (True, False):
        rows = np.flatnonzero(changed & ((distances.distance > 0) == appeared))
        built1 = _built_at(core_points, distances.normals, distances.position1, rows, epoch1, shape1, rules)
        built2 = _built_at(core_points, distances.normals, distances.position2, rows, epoch2, shape2, rules)
        built, before = (built2, built1) if appeared else (built1, built2)
        component = density_components(core_points[rows], 2 * rules.spacing, rules.min_points)
        for number in range(int(component.max(initial=-1)) + 1):
            here = component == number
            if here.sum() < rules.min_points:
                continue
            volume = float(size[rows[here]].sum()) * rules.spacing**2
            classes[rows[here]] = _kind(appeared, built[here].mean() > 0.5, before[here].mean() > 0.5, volume, rules)
    return classes


def _built_at(
    core_points: Floats, normals: Floats, position: Floats, rows: NDArray[np.int64], cloud: Floats, shape: Floats,
    rules: M3C2ClassRules,
) -> NDArray[np.bool_]:
    """Whether the surface of an epoch at its position along each normal is built."""
    if rows.size == 0:
        return np.zeros(0, dtype=np.bool_)
    place = core_points[rows] + position[rows, None] * normals[rows]
    planarity, verticality = shape[cKDTree(cloud).query(place)[1]].T
    built: NDArray[np.bool_] = (planarity >= rules.planarity) & (
        (verticality <= rules.roof) | (verticality >= rules.facade)
    )
    return built


def _kind(appeared: bool, built: bool, built_before: bool, volume: float, rules: M3C2ClassRules) -> int:
    """Class of one component."""
    if built:
        if volume < rules.mobile_volume:
            return MOBILE
        return NEW_BUILDING if appeared else DEMOLITION
    if not appeared:
        return MISSING_VEGETATION
    return NEW_VEGETATION if built_before else GROWTH
