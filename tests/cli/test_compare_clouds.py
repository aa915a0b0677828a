"""imbdense compare clouds: distances written beside every field of the file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.cli.main import main
from imbdense.data.points import PointCloud, read_points, write_points
from tests.helpers.point_pairs import FAR, tiny_town

laspy = pytest.importorskip('laspy')


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('clouds')
    one, _, two, labels, _ = tiny_town(3, side=60.0, density=2.0, change=0.6)
    rng = np.random.default_rng(0)
    attributes = {'gps_time': rng.uniform(0, 9, len(two)), 'mine': rng.normal(size=len(two)).astype(np.float32),
                  'rgb': rng.integers(0, 255, (len(two), 3)).astype(np.uint8)}
    write_points(folder / 'first.las', PointCloud(one + FAR))
    write_points(folder / 'second.las', PointCloud(two + FAR, attributes, labels))
    return folder / 'first.las', folder / 'second.las'


@pytest.mark.parametrize('spacing', [[], ['--spacing', '1']])
def test_m3c2_keeps_every_field(files: tuple[Path, Path], tmp_path: Path, spacing: list[str],
                                capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'change.las'
    options = ['--out', str(out), '--registration-error', '0.05', *spacing]
    assert main(['compare', 'clouds', *map(str, files), *options]) == 0
    before, after = laspy.read(files[1]), laspy.read(out)
    for name in before.point_format.dimension_names:
        np.testing.assert_array_equal(np.asarray(after[name]), np.asarray(before[name]), err_msg=name)
    labels = np.asarray(before['classification'])
    distance, significant = np.asarray(after['m3c2_distance']), np.asarray(after['m3c2_significant'])
    assert np.nanmedian(distance[labels == 1]) == pytest.approx(5.0, abs=0.1)  # a new house
    assert np.nanmedian(np.abs(distance[labels == 0])) < 0.05
    assert significant[labels == 1].mean() > 0.9 and significant[labels == 0].mean() < 0.25
    assert {'m3c2_lod', 'm3c2_spread1', 'm3c2_count2'} <= set(after.point_format.dimension_names)
    assert 'beyond their level of detection' in capsys.readouterr().out


@pytest.mark.parametrize(('method', 'name'), [('c2c', 'c2c_distance'), ('dsm', 'dsm_difference')])
def test_other_methods(files: tuple[Path, Path], tmp_path: Path, method: str, name: str) -> None:
    out = tmp_path / 'change.npz'
    assert main(['compare', 'clouds', *map(str, files), '--out', str(out), '--method', method]) == 0
    found = read_points(out)
    new = found.attributes[name][found.semantic == 1]
    assert np.nanmedian(np.abs(new)) == pytest.approx(5.0, abs=1.5)


def test_what_it_refuses(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(str, files)
    write_points(tmp_path / 'far.npz', PointCloud(np.ones((4, 3))))
    for words, arguments in {
        'is an input': [first, second, '--out', second],
        'far.npz do not overlap': [first, str(tmp_path / 'far.npz'), '--out', str(tmp_path / 'x.npz')],
        'does not exist': [first, str(tmp_path / 'no.las'), '--out', str(tmp_path / 'x.las')],
        'x.foo: .foo cannot be written': [first, str(tmp_path / 'no.las'), '--out', str(tmp_path / 'x.foo')],
        'cylinder_radius': [first, second, '--out', str(tmp_path / 'x.las'), '--radius', '0'],
    }.items():
        assert main(['compare', 'clouds', *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / 'x.las').exists()


def test_measuring_again_replaces_the_earlier_result(files: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = map(str, files)
    for given, error, out in ((second, '0', 'one.las'), (str(tmp_path / 'one.las'), '0.5', 'two.las')):
        arguments = [first, given, '--out', str(tmp_path / out), '--registration-error', error]
        assert main(['compare', 'clouds', *arguments]) == 0
    levels = [read_points(tmp_path / name).attributes['m3c2_lod'] for name in ('one.las', 'two.las')]
    known = np.isfinite(levels[0])
    assert known.mean() > 0.9
    np.testing.assert_allclose((levels[1] - levels[0])[known], 1.96 * 0.5, atol=1e-5)
