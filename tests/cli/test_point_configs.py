"""Verbs about images, given a config of point clouds, name the verb for points; nothing is loaded or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbdense.cli.main import main

pytest.importorskip('mmengine')
CLOUDS, PAIRS, SCANS = (f'point_cloud/{name}' for name in
                        ('sparse_unet_scenes_ce', 'm3c2_cloud_pairs', 'pillar_lidar_source'))


@pytest.mark.parametrize(('arguments', 'words'), [
    (['predict', CLOUDS, 'x.pth', 'tile.laz'], 'imbdense predict points'),
    (['predict', PAIRS, 'x.pth', 'a.laz', 'b.laz'], 'imbdense predict change3d'),
    (['predict', SCANS, 'x.pth', 'a.bin'], 'imbdense test'),
    (['predict', 'raster', CLOUDS, 'x.pth', 'a.tif', '--out', 'map.tif'], 'no such verb for point clouds'),
    (['browse', CLOUDS], 'imbdense browse points'),
    (['browse', PAIRS], 'imbdense browse points'),
    (['browse', SCANS], 'imbdense stats'),
    (['diagnose', CLOUDS, 'x.pth'], 'imbdense test'),
    (['calibrate', CLOUDS, 'x.pth', '--method', 'threshold'], 'no such verb for point clouds'),
    (['select', 'pool', CLOUDS, 'x.pth', '--out', 'pool'], 'no such verb for point clouds'),
])
def test_the_verb_for_points_is_named(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and 'is about images' in error and 'point_cloud' in error and 'Traceback' not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('arguments', [
    ['pseudo-label', CLOUDS, 'x.pth', '--images', 'a.png', '--out', 'out'],
    ['self-train', CLOUDS, '--unlabeled', 'a.png'],
    ['check', 'pool', CLOUDS, 'x.pth', '--unlabelled', 'a.png'],
])
def test_verbs_that_look_for_images_first(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.png').touch()
    assert main(arguments) == 2
    assert 'no such verb for point clouds' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']
