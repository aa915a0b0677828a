"""M3C2: the worked example, a slow reference, py4dgeo where it is installed, and a calibrated level of detection."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import imbdense
from imbdense.core.change3d import CloudError, m3c2, multiscale_normals
from imbdense.core.change3d.m3c2_py4dgeo import quiet_py4dgeo

UP = (0.0, 0.0, 1.0)
Floats = NDArray[np.float64]


def random_pair(seed: int = 0, size: int = 3000, side: float = 10.0) -> tuple[Floats, Floats, Floats]:
    """Two rough surfaces far from the origin, and core points of the first; one of them lies alone."""
    rng = np.random.default_rng(seed)
    far = np.array([650_000.0, 6_860_000.0, 120.0])

    def surface(lift: float) -> Floats:
        xy = rng.uniform(0, side, (size, 2))
        z = 0.4 * np.sin(xy[:, 0]) + 0.2 * xy[:, 1] + rng.normal(lift, 0.05, size)
        return np.column_stack([xy, z]) + far

    first, second = surface(0.0), surface(0.3)
    return first, second, np.concatenate([first[::60], far + [[5.0, 5.0, 40.0]]])


def tilted(size: int, seed: int = 1) -> Floats:
    """Given normals."""
    vectors = np.random.default_rng(seed).normal(0, 0.2, (size, 3)) + UP
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_sides(cloud: Floats, core: Floats, normals: Floats, radius: float, length: float) -> list[Floats]:
    """Axial coordinates of each cylinder, point by point."""
    found = []
    for centre, normal in zip(core, normals):
        offset = cloud - centre
        axial = offset @ normal
        across = offset - axial[:, None] * normal
        found.append(axial[((across**2).sum(axis=1) <= radius**2) & (np.abs(axial) < length)])
    return found


def sorted_quartile(values: Floats, numerator: int, divisor: int) -> float:
    ordered, place = np.sort(values), numerator * len(values) // divisor
    return (ordered[place] + ordered[place - 1]) / 2 if len(values) % divisor == 0 else ordered[place]


def test_worked_example() -> None:
    first = np.array([[0, 0, 0.0], [0.1, 0, 0.1], [0, 0.1, 0.2]])
    second = np.array([[0, 0, 1.0], [0.1, 0.1, 1.2]])
    found = m3c2(first, second, [[0, 0, 0.0]], cylinder_radius=1, max_distance=2, normals=UP, registration_error=0.05,
                 engine='numpy')
    assert found.distance[0] == pytest.approx(1.0) and found.lod[0] == pytest.approx(0.3243, abs=5e-5)
    assert (found.count1[0], found.count2[0]) == (3, 2) and found.significant[0]
    assert found.position2[0] - found.position1[0] == pytest.approx(found.distance[0])


@pytest.mark.parametrize('length', [0.5, 2.0, 3.0])
@pytest.mark.parametrize('robust', [False, True])
def test_equals_the_slow_reference(length: float, robust: bool) -> None:
    first, second, core = random_pair()
    normals = tilted(len(core))
    found = m3c2(first, second, core, cylinder_radius=1.0, max_distance=length, normals=normals, robust=robust,
                 registration_error=0.02, engine='numpy')
    sides = [slow_sides(cloud, core, normals, 1.0, length) for cloud in (first, second)]
    for number, (one, two) in enumerate(zip(*sides)):
        assert (found.count1[number], found.count2[number]) == (len(one), len(two))
        if min(len(one), len(two)) < 2:
            assert np.isnan(found.lod[number])
            continue
        if robust:
            middle = [sorted_quartile(side, 1, 2) for side in (one, two)]
            spread = [sorted_quartile(side, 3, 4) - sorted_quartile(side, 1, 4) for side in (one, two)]
        else:
            middle, spread = [side.mean() for side in (one, two)], [side.std(ddof=1) for side in (one, two)]
        assert found.distance[number] == pytest.approx(middle[1] - middle[0], abs=1e-8)
        level = 1.96 * (np.sqrt(spread[0] ** 2 / len(one) + spread[1] ** 2 / len(two)) + 0.02)
        assert found.lod[number] == pytest.approx(level, abs=1e-8)


def test_empty_cylinders_and_single_points_are_unknown() -> None:
    first, second = np.array([[0, 0, 0.0], [5, 0, 0], [5, 0, 0.1]]), np.array([[0, 0, 1.0], [9, 0, 0]])
    found = m3c2(first, second, [[0, 0, 0.0], [5, 0, 0], [50, 0, 0]], cylinder_radius=1, max_distance=2, normals=UP,
                 engine='numpy')
    assert found.distance[0] == 1.0 and np.isnan(found.lod[0]) and np.isnan(found.spread1[0])
    assert np.isnan(found.distance[1:]).all() and np.isnan(found.lod[1:]).all() and not found.significant.any()
    assert found.count1.tolist() == [1, 2, 0] and found.count2.tolist() == [1, 0, 0]
    robust = m3c2(first, second, [[0, 0, 0.0]], cylinder_radius=1, max_distance=2, normals=UP, robust=True,
                  registration_error=0.1, engine='numpy')
    assert robust.lod[0] == pytest.approx(0.196)  # one point: a range of 0, in the robust version
    assert len(m3c2(first, second, np.zeros((0, 3)), cylinder_radius=1, max_distance=2, normals=UP)) == 0


def test_normals_of_several_radii_are_those_of_independent_neighbourhoods() -> None:
    first, _, core = random_pair()
    first, core = first - first.mean(axis=0), core - first.mean(axis=0)
    radii = [0.4, 0.8, 1.6]
    normals, used = multiscale_normals(first, core, radii)
    assert np.isnan(normals[-1]).all() and np.isnan(used[-1])  # nothing round the point that lies alone
    for centre, normal, radius in zip(core[:-1], normals, used):
        best, expected, chosen = 0.0, None, None
        for candidate in radii:
            near = first[np.linalg.norm(first - centre, axis=1) <= candidate]
            if len(near) < 3:
                continue
            values, vectors = np.linalg.eigh(np.cov(near.T))
            planarity = (values[1] - values[0]) / values[2]
            if planarity > best:
                best, expected, chosen = planarity, vectors[:, 0], candidate
        assert expected is not None and radius == chosen and normal[2] >= 0
        assert abs(normal @ expected) == pytest.approx(1.0, abs=1e-9)
    compat, _ = multiscale_normals(first, core, radii, compat_py4dgeo=True)
    assert np.nanmax(np.abs(compat - normals)) > 1e-4  # counting inner points again is another definition
    one = [multiscale_normals(first, core, [0.8], compat_py4dgeo=flag)[0] for flag in (False, True)]
    np.testing.assert_array_equal(*one)


def test_plane_moved_along_its_normal_and_swapped() -> None:
    """Acceptance B, first half, and D: the distance is the shift; swapped epochs give the negative exactly."""
    rng = np.random.default_rng(3)
    normal = np.array([0.3, -0.2, 1.0]) / np.linalg.norm([0.3, -0.2, 1.0])
    basis = np.linalg.svd(normal[None])[2][1:]

    def plane(shift: float) -> Floats:
        return rng.uniform(0, 20, (8000, 2)) @ basis + (shift + rng.normal(0, 0.05, (8000, 1))) * normal

    first, second = plane(0.0), plane(0.4)
    core = rng.uniform(3, 17, (100, 2)) @ basis
    options = {'cylinder_radius': 1.0, 'max_distance': 2.0, 'normals': normal, 'engine': 'numpy'}
    there, back = m3c2(first, second, core, **options), m3c2(second, first, core, **options)
    error = np.sqrt(there.spread1**2 / there.count1 + there.spread2**2 / there.count2)
    assert (np.abs(there.distance - 0.4) < 3 * error).mean() >= 0.97 and there.significant.all()
    np.testing.assert_allclose(back.distance, -there.distance, atol=1e-12)
    np.testing.assert_array_equal(back.significant, there.significant)
    estimated = m3c2(first, second, core, cylinder_radius=1.0, max_distance=2.0, normal_radii=[2.0], engine='numpy')
    assert np.abs(estimated.distance - 0.4).max() < 0.05 and (estimated.normal_radius == 2.0).all()


def unchanged_rate(error: float, stated: float, robust: bool = False, density: float = 22.0) -> float:
    """Share of 2000 independent core points of an unchanged noisy plane that are called changed; offsets of the
    registration are drawn from N(0, error)."""
    rng = np.random.default_rng(7)
    side, spacing = 2000, 2.5  # cylinders do not touch, so the trials are independent
    centres = np.column_stack([np.arange(side) % 50, np.arange(side) // 50, np.zeros(side)]) * spacing

    def scatter(offset: Floats) -> Floats:
        per = int(density * spacing**2)
        xyz = np.repeat(centres, per, axis=0)
        xyz[:, :2] += rng.uniform(-spacing / 2, spacing / 2, (len(xyz), 2))
        xyz[:, 2] = rng.normal(0, 0.03, len(xyz)) + np.repeat(offset, per)
        return xyz

    first, second = scatter(np.zeros(side)), scatter(rng.normal(0, error, side) if error else np.zeros(side))
    found = m3c2(first, second, centres, cylinder_radius=1.0, max_distance=1.0, normals=UP, robust=robust,
                 registration_error=stated, engine='numpy')
    assert found.count1.min() >= (30 if density < 20 else 40)
    return float(found.significant.mean())


def test_level_of_detection_is_calibrated() -> None:
    """Acceptance B, second half: 5 % +- 1.5 % false changes on an unchanged plane with n of about 69."""
    assert unchanged_rate(0.0, 0.0) == pytest.approx(0.05, abs=0.015)


@pytest.mark.slow
def test_stated_registration_error_keeps_false_changes_down() -> None:
    """Acceptance E: an alignment three times worse, said to be so, gives at most 7 %."""
    assert unchanged_rate(0.02, 0.02) <= 0.07
    assert unchanged_rate(0.06, 0.06) <= 0.07
    assert unchanged_rate(0.06, 0.0) > 0.5  # not told, it is a disaster: so the check can fail


@pytest.mark.parametrize(
    ('change', 'kind', 'words'),
    [
        ({'epoch2': np.zeros((0, 3))}, 'empty', 'epoch2 holds no point'),
        ({'epoch1': np.array([[0, 0, np.nan]])}, 'not_finite', 'epoch1 has 1 points with NaN'),
        ({'epoch2': np.array([[900.0, 0, 0]])}, 'no_overlap', 'epoch1 and epoch2 do not overlap'),
        ({'core_points': np.zeros((3, 2))}, 'shape', r'core_points must be numbers \(N, 3\)'),
    ],
)
def test_bad_clouds_are_named(change: dict[str, Floats], kind: str, words: str) -> None:
    clouds = {'epoch1': np.zeros((5, 3)), 'epoch2': np.zeros((5, 3)), 'core_points': np.zeros((1, 3))} | change
    with pytest.raises(CloudError, match=words) as caught:
        m3c2(**clouds, cylinder_radius=1, max_distance=2, normals=UP)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'cylinder_radius': 0}, 'cylinder_radius'),
        ({'normals': None}, 'give normal_radii'),
        ({'normal_radii': [1.0]}, 'normals are given'),
        ({'normals': [[0, 0, 0.0]]}, 'longer than 0'),
        ({'normals': np.ones((4, 3))}, 'one per core point'),
        ({'engine': 'fast'}, 'engine'),
    ],
)
def test_bad_arguments_are_named(change: dict[str, object], words: str) -> None:
    options = {'cylinder_radius': 1.0, 'max_distance': 2.0, 'normals': UP} | change
    with pytest.raises(ValueError, match=words):
        m3c2(np.zeros((5, 3)), np.zeros((5, 3)), np.zeros((2, 3)), **options)  # type: ignore[arg-type]


needs_py4dgeo = pytest.mark.skipif(importlib.util.find_spec('py4dgeo') is None, reason='py4dgeo is not installed')


@needs_py4dgeo
@pytest.mark.parametrize('robust', [False, True])
@pytest.mark.parametrize('length', [1.0, 2.0, 3.0])
@pytest.mark.parametrize('radii', [None, [0.8], [0.4, 0.8, 1.6]])
def test_both_engines_agree(robust: bool, length: float, radii: list[float] | None) -> None:
    """Acceptance A. The core points are points of epoch 1: with two slabs they lie on the border between them."""
    first, second, core = random_pair()
    options = {'normal_radii': radii} if radii else {'normals': tilted(len(core))}
    ours, theirs = (
        m3c2(first, second, core, cylinder_radius=1.0, max_distance=length, robust=robust, registration_error=0.01,
             engine=engine, **options)
        for engine in ('numpy', 'py4dgeo')
    )  # fmt: skip
    assert theirs.engine == 'py4dgeo'
    for name in ('distance', 'lod', 'spread1', 'spread2'):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), atol=1e-9, rtol=0, err_msg=name)
    np.testing.assert_array_equal(theirs.count1, ours.count1)
    np.testing.assert_array_equal(theirs.count2, ours.count2)


@needs_py4dgeo
@pytest.mark.parametrize('radii', [[0.8], [0.4, 0.8, 1.6]])
def test_compat_repeats_its_normals(radii: list[float]) -> None:
    """With several radii py4dgeo counts inner points again; ``compat_py4dgeo`` does the same."""
    py4dgeo = quiet_py4dgeo()
    first, second, core = random_pair()
    origin = first.mean(axis=0)
    first, second, core = first - origin, second - origin, core[:-1] - origin
    algorithm = py4dgeo.M3C2(epochs=(py4dgeo.Epoch(first), py4dgeo.Epoch(second)), corepoints=core,
                             normal_radii=radii, cyl_radius=1.0, max_distance=3.0)
    distance, found = algorithm.run()
    ours = m3c2(first, second, core, cylinder_radius=1.0, max_distance=3.0, normal_radii=radii, compat_py4dgeo=True,
                engine='numpy')
    np.testing.assert_allclose(algorithm.corepoint_normals, ours.normals, atol=1e-7)
    np.testing.assert_array_equal(algorithm.directions_radii(), ours.normal_radius)
    np.testing.assert_allclose(distance, ours.distance, atol=1e-6)
    assert (found['num_samples1'] == ours.count1).mean() > 0.99  # a point on the rim may change sides


@needs_py4dgeo
def test_py4dgeo_leaves_no_log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it writes ``py4dgeo.log`` into the current folder at the first message; a log of the user's own stays."""
    monkeypatch.chdir(tmp_path)
    default, told = Path('py4dgeo.log'), logging.getLogger('py4dgeo').warning
    as_imported = quiet_py4dgeo().logger.create_default_logger
    try:
        as_imported()
        told('of a tree')
        assert default.is_file()
        default.unlink()
        as_imported()
        quiet_py4dgeo()
        told('of a tree')
        assert not default.exists()
        as_imported('mine.txt')
        quiet_py4dgeo()
        told('of a tree')
        assert Path('mine.txt').is_file() and not default.exists()
    finally:
        as_imported()
        quiet_py4dgeo()


def test_one_place_imports_py4dgeo() -> None:
    """All others go through ``quiet_py4dgeo``."""
    package = Path(imbdense.__file__).parent
    imported = re.compile(r'^\s*(import [^\n]*\bpy4dgeo\b|from py4dgeo\b)', re.MULTILINE)
    found = [path.name for path in package.rglob('*.py') if imported.search(path.read_text('utf-8'))]
    assert found == ['m3c2_py4dgeo.py']
