"""Checks of point clouds: every fault is found once and names its scene; a clean split has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.checks.points import density, point_findings
from imbdense.data.checks.run import check_splits
from imbdense.data.checks.splits import PointSplit
from imbdense.data.points import PointCloud, read_points
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.layouts import point_layout
from imbdense.data.points.source import PointLabelFormat, PointSource, folder_layout
from imbdense.data.points.write import write_points

MAP = ClassMap(('ground', 'house'), ((0, 0, 0), (9, 9, 9)), {1: -1, 2: 0, 6: 1})


def cloud(
    number: int = 400, side: float = 10.0, seed: int = 0, crs: str | None = None, **attributes: np.ndarray
) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(rng.uniform(0, side, (number, 3)), dict(attributes), rng.choice([1, 2, 6], number), crs=crs)


def split(folder: Path, clouds: dict[str, PointCloud], name: str = 'train', need_labels: bool = True) -> PointSplit:
    folder.mkdir(exist_ok=True)
    for file, one in clouds.items():
        write_points(folder / file, one)
    files = tuple(str(folder / file) for file in clouds)
    source = PointSource(folder_layout(), MAP, 'error', need_labels)
    return PointSplit(name, files, files, PointLabelFormat.of_source(source))


def codes(found: list) -> list[tuple[str, str, str]]:
    return sorted((finding.severity, finding.code, Path(finding.file).name) for finding in found)


def test_a_clean_split_has_no_findings(tmp_path: Path) -> None:
    assert point_findings(split(tmp_path / 'a', {'a.npz': cloud(), 'b.npz': cloud(seed=1)}), workers=0) == []


def test_every_fault_is_found_and_named(tmp_path: Path) -> None:
    good = cloud()
    bare = PointCloud(good.xyz)
    doubled = good.take(np.r_[0:400, 0:20])
    clouds = {
        'good.npz': good,
        'bare.npz': bare,
        'void.npz': good.replace(semantic=np.ones(400, np.int64)),
        'mars.npz': good.replace(semantic=np.full(400, 77)),
        'black.npz': cloud(seed=3, rgb=np.zeros((400, 3), np.uint8)),
        'twice.npz': doubled.replace(semantic=np.where(np.arange(420) < 400, 2, 6)),
        'thin.npz': cloud(400, 500.0, seed=4),
    }
    found = point_findings(replace(split(tmp_path / 'a', clouds), wanted=()), workers=0)
    assert codes(found) == [
        ('error', 'ignored', 'void.npz'), ('error', 'labels', 'mars.npz'), ('error', 'unlabelled', 'bare.npz'),
        ('warning', 'empty_colours', 'black.npz'), ('warning', 'repeated_points', 'twice.npz'),
        ('warning', 'uneven_density', 'thin.npz'),
    ]  # fmt: skip
    told = {finding.code: finding.message for finding in found}
    assert '77' in told['labels'] and '20 points (4.76 %)' in told['repeated_points']
    assert 'with another label' in told['repeated_points']
    assert all(finding.split == 'train' and finding.cure for finding in found)


def test_broken_files_and_absent_classes(tmp_path: Path) -> None:
    part = split(tmp_path / 'a', {'a.npz': cloud().replace(semantic=np.full(400, 2))})
    assert codes(point_findings(part, workers=0)) == [('warning', 'absent_class', '')]
    (tmp_path / 'a' / 'a.npz').write_bytes(b'PK nothing')
    ((severity, _, file), *_) = codes(point_findings(part, workers=0))
    assert severity == 'error' and file == 'a.npz'


def test_a_scene_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    parts = [split(tmp_path / name, {f'{name}.npz': cloud()}, name) for name in ('train', 'val')]
    assert [finding.code for finding in check_splits(parts, workers=0)] == ['duplicate_across_splits']


def test_density_is_that_of_the_occupied_ground() -> None:
    rng = np.random.default_rng(0)
    street = rng.uniform(0, 1, (20_000, 3)) * [400, 10, 3] + [7e5, 6e6, 0]
    assert density(street) == pytest.approx(5, rel=0.1)
    turned = street @ np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    assert density(turned) == pytest.approx(5, rel=0.4)
    assert density(rng.uniform(0, 500, (400, 3))) == pytest.approx(400 / 500**2, rel=0.3)
    assert density(np.zeros((3, 3))) == 3


def test_a_broken_scene_is_named_once_from_a_relative_root_and_nan_attributes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    height = np.linspace(0, 1, 400, dtype=np.float32)
    height[[3, 5]] = np.nan, np.inf
    clouds = {'void.npz': cloud(seed=1), 'gaps.npz': cloud(seed=2, shine=height)}
    data = replace(split(Path('a'), clouds), wanted=())
    Path('a/void.npz').write_bytes(b'PK')
    found = point_findings(data, workers=0)
    assert [code[::2] for code in codes(found)] == [('error', 'void.npz'), ('warning', 'gaps.npz')]
    assert 'shine (2 points)' in next(finding.message for finding in found if finding.code == 'not_finite')


def test_prepared_scenes_are_read_as_the_data_set_reads_them(tmp_path: Path) -> None:
    layout = point_layout('ign_lidar_hd')
    given = split(tmp_path / 'a', {'a.npz': cloud(), 'b.npz': cloud(seed=1)})
    prepared = replace(given, label_format=PointLabelFormat.of_source(PointSource(layout, MAP)))
    assert point_findings(prepared, workers=0) == []


def test_scenes_without_an_attribute_that_others_have_or_the_pipeline_takes_are_named(tmp_path: Path) -> None:
    rgb, light = np.full((400, 3), 9, np.uint8), np.ones(400, np.float32)
    clouds = {'all.npz': cloud(rgb=rgb, intensity=light), 'more.npz': cloud(seed=1, rgb=rgb, intensity=light),
              'grey.npz': cloud(seed=2, intensity=light), 'bare.npz': cloud(seed=3)}  # fmt: skip
    given = split(tmp_path / 'a', clouds)
    found = point_findings(given, workers=0)
    assert codes(found) == [('warning', 'uneven_attributes', 'bare.npz'), ('warning', 'uneven_attributes', 'grey.npz')]
    assert 'has no intensity (3 of 4 scenes have it), rgb (2 of 4' in found[1].message
    found = point_findings(replace(given, wanted=('intensity',)), workers=0)
    assert codes(found) == [('error', 'missing_attributes', 'bare.npz')] and 'it has none' in found[0].message
    found = point_findings(replace(given, wanted=('rgb', 'intensity'), filled=('rgb',)), workers=0)
    assert codes(found) == [('error', 'missing_attributes', 'bare.npz')] and 'has no intensity,' in found[0].message


def test_scenes_of_another_coordinate_system_are_named(tmp_path: Path) -> None:
    pytest.importorskip('rasterio')
    wkt = read_points(_las(tmp_path / 'wkt.las', cloud(crs='EPSG:2154'))).crs
    clouds = {'a.npz': cloud(crs='EPSG:2154'), 'b.npz': cloud(seed=1, crs=wkt)}
    assert wkt != 'EPSG:2154' and point_findings(split(tmp_path / 'same', clouds), workers=0) == []
    clouds |= {'far.npz': cloud(seed=2, crs='EPSG:25832'), 'none.npz': cloud(seed=3)}
    found = point_findings(split(tmp_path / 'mixed', clouds), workers=0)
    assert codes(found) == [('warning', 'other_crs', 'far.npz'), ('warning', 'other_crs', 'none.npz')]
    assert 'has EPSG:25832, but 2 of 4 scenes EPSG:2154' in found[0].message
    assert 'has no coordinate system, but 2 of 4 scenes EPSG:2154' in found[1].message


def _las(path: Path, one: PointCloud) -> Path:
    write_points(path, one)
    return path
