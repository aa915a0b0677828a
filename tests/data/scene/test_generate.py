from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.camera import camera_from_record
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.export_images import read_png
from imbdense.data.scene.manifest import SceneManifest, file_digest, finished_scene, read_manifest
from imbdense.utils.files import FileWriteError
from tests.data.scene.conftest import tiny

pytest.importorskip('open3d')
Scene = tuple[Path, SceneConfig, SceneManifest]


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file but the timing."""
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob('*'))
            if path.is_file() and path.name != 'timing.json'}


def test_every_promised_file_is_there_and_hashed(tiny_scene: Scene) -> None:
    folder, _, manifest = tiny_scene
    names = {path.name for path in folder.iterdir()}
    assert names == {'images', 'masks', 'inst', 'depth', 'cameras.json', 'instances.json', 'ortho.tif', 'dsm.tif',
                     'ortho_mask.tif', 'manifest.json', 'timing.json'}
    found = digests(folder)
    assert found.pop('manifest.json') and found == manifest.files
    assert read_manifest(folder) == manifest and 'seconds' not in (folder / 'manifest.json').read_text()
    assert not list(folder.parent.glob('.*'))


def test_images_masks_and_instances_agree_with_the_counts(tiny_scene: Scene) -> None:
    folder, _, manifest = tiny_scene
    records = json.loads((folder / 'instances.json').read_text())['instances']
    owner = {item['id']: c.CLASS_IDS[item['class']] for item in records}
    pixels = np.zeros(256, np.int64)
    for path in sorted((folder / 'masks').iterdir()):
        semantic, instance = read_png(path), read_png(folder / 'inst' / path.name)
        rgb, depth = read_png(folder / 'images' / path.name), np.load(folder / 'depth' / f'{path.stem}.npz')['depth']
        assert semantic.shape == instance.shape == depth.shape == rgb.shape[:2] == (120, 160)
        assert semantic.dtype == np.uint8 and instance.dtype == np.uint16 and depth.dtype == np.float32
        assert set(np.unique(semantic)) <= {*c.CLASS_NAMES, c.VOID}
        assert np.array_equal(depth == 0, semantic == c.VOID)
        ground = np.isin(semantic, (c.GROUND, c.ROAD, c.DIRT, c.GRASS, c.VOID))
        assert np.array_equal(ground, instance == 0)
        for number in np.unique(instance[instance > 0]):
            seen = set(np.unique(semantic[instance == number]))
            assert seen <= ({owner[number], c.WINDOWS} if owner[number] == c.BUILDING else {owner[number]})
        pixels += np.bincount(semantic.ravel(), minlength=256)
    assert {name: pixels[number] for number, name in c.CLASS_NAMES.items()} == manifest.counts['pixels']
    assert sum(manifest.shares.values()) == pytest.approx(1)
    assert manifest.num_images == len(list((folder / 'images').iterdir()))


def test_dry_run_at_full_scale_predicts_the_written_masks(tiny_scene: Scene) -> None:
    _, _, manifest = tiny_scene
    assert manifest.mix['dry_run_scale'] == 1.0
    assert manifest.imbalance_ratio == pytest.approx(manifest.mix['expected_ratio'])


def test_depth_agrees_with_the_surface_model(tiny_scene: Scene) -> None:
    rasterio = pytest.importorskip('rasterio')
    folder, config, _ = tiny_scene
    with rasterio.open(folder / 'dsm.tif') as file:
        surface, transform = file.read(1), file.transform
        assert file.crs.to_epsg() == 32611 and file.nodata == -9999
    with rasterio.open(folder / 'ortho_mask.tif') as file:
        classes = file.read(1)
    record = json.loads((folder / 'cameras.json').read_text())['images'][0]
    camera = camera_from_record(record)
    depth = np.load(folder / 'depth' / '00000.npz')['depth'].reshape(-1, 1)
    semantic = read_png(folder / 'masks' / '00000.png').ravel()
    points = camera.c2w[:3, 3] + depth * (camera.directions().reshape(-1, 3) @ camera.c2w[:3, :3].T)
    east, north = points[:, 0] + config.output.origin[0], points[:, 1] + config.output.origin[1]
    columns, rows = (np.floor(value).astype(int) for value in ~transform * (east, north))
    inside = (rows >= 0) & (columns >= 0) & (rows < surface.shape[0]) & (columns < surface.shape[1])
    error = points[inside, 2] - surface[rows[inside], columns[inside]]
    ground = np.isin(semantic[inside], (c.ROAD, c.GRASS, c.DIRT)) & \
        np.isin(classes[rows[inside], columns[inside]], (c.ROAD, c.GRASS, c.DIRT))
    assert ground.sum() > 500
    assert np.percentile(np.abs(error[ground]), 99) < 0.15
    assert np.mean(error > 1.0) < 0.03  # nothing seen by the camera floats above the surface


def test_camera_projects_instances_where_the_image_shows_them(tiny_scene: Scene) -> None:
    folder, _, _ = tiny_scene
    items = {item['id']: item for item in json.loads((folder / 'instances.json').read_text())['instances']}
    camera = camera_from_record(json.loads((folder / 'cameras.json').read_text())['images'][0])
    instance = read_png(folder / 'inst' / '00000.png')
    checked = 0
    for number in np.unique(instance[instance > 0]):
        rows, columns = np.nonzero(instance == number)
        if items[number]['class'] == 'vehicle' and len(rows) > 60:
            pixels, _ = camera.project(np.array([items[number]['position']]))
            assert np.hypot(pixels[0, 0] - columns.mean(), pixels[0, 1] - rows.mean()) < 8
            checked += 1
    assert checked or 'vehicle' not in {item['class'] for item in items.values()}


def test_finished_scene_is_kept_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    from imbdense.data.scene.generate import generate_scene

    config = tiny(output={'depth': False, 'ortho': False}, flight={'pattern': 'nadir'}, mix={'correction_rounds': 0})
    folder = tmp_path / 's'
    manifest = generate_scene(config, folder)
    before, stamp = digests(folder), (folder / 'manifest.json').stat().st_mtime_ns
    assert generate_scene(config, folder) == manifest and (folder / 'manifest.json').stat().st_mtime_ns == stamp
    image = next((folder / 'images').iterdir())
    image.write_bytes(image.read_bytes()[:100])
    assert finished_scene(folder, config) is None
    with pytest.raises(ValueError, match=image.name):
        read_png(image)
    generate_scene(config, folder)
    assert digests(folder) == before
    other = config.changed(seed=config.seed + 1)
    assert finished_scene(folder, other) is None
    assert generate_scene(other, folder).files != manifest.files


def test_images_in_worker_processes_are_equal_to_the_byte(tmp_path: Path) -> None:
    from imbdense.data.scene.generate import generate_scene

    config = tiny(label_noise={'fraction': 0.3}, output={'ortho': False}, mix={'correction_rounds': 1})
    seen: list[tuple[int, int]] = []
    one = generate_scene(config, tmp_path / 'one', workers=1, progress=lambda done, total: seen.append((done, total)))
    two = generate_scene(config, tmp_path / 'two', workers=2)
    assert one == two and digests(tmp_path / 'one') == digests(tmp_path / 'two')
    assert seen == [(k + 1, one.num_images) for k in range(one.num_images)]


def test_unwritable_and_busy_folders(tmp_path: Path) -> None:
    from imbdense.data.scene.generate import generate_scene
    from imbdense.data.scene.partial import exclusive

    (tmp_path / 'file').write_text('x')
    with pytest.raises(FileWriteError, match='file'):
        generate_scene(tiny(), tmp_path / 'file' / 'scene')
    with exclusive(tmp_path / '.busy.partial'), pytest.raises(FileWriteError, match='another process'):
        generate_scene(tiny(), tmp_path / 'busy')


def test_full_disk_is_reported_and_leaves_no_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imbdense.data.scene import generate

    def full(*_: object) -> list[str]:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(generate, '_write_records', full)
    with pytest.raises(FileWriteError, match=r'No space left.*run the same command again'):
        generate.generate_scene(tiny(mix={'correction_rounds': 0}, flight={'pattern': 'nadir'}), tmp_path / 's')
    assert not (tmp_path / 's').exists()


def test_missing_open3d_tells_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from imbdense.data.scene.raycast import require_open3d

    monkeypatch.setitem(sys.modules, 'open3d', None)
    with pytest.raises(ImportError, match='pip install open3d-cpu'):
        require_open3d()


def test_killed_generation_resumes_to_the_same_files(tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'imbdense', 'generate', 'scenes', '--preset', 'tiny', '--num', '2', '--val', '1',
               '--cfg-options', 'mix.correction_rounds=0', 'flight.pattern=nadir', '--out']
    environment = os.environ | {'OMP_NUM_THREADS': '1'}
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([*command, str(tmp_path / 'killed')], cwd=root, env=environment,
                               stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 240
    while not (tmp_path / 'killed/scenes/scene_000').exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # into the second scene
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'killed/dataset.json').exists()
    stamp = (tmp_path / 'killed/scenes/scene_000/manifest.json').stat().st_mtime_ns
    for folder in ('killed', 'whole'):
        subprocess.run([*command, str(tmp_path / folder)], cwd=root, env=environment, check=True,
                       stdout=subprocess.DEVNULL)
    assert (tmp_path / 'killed/scenes/scene_000/manifest.json').stat().st_mtime_ns == stamp
    assert digests(tmp_path / 'killed') == digests(tmp_path / 'whole')
