"""Prediction of whole clouds: right labels, every old field, the same bytes however it is run, named errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imbdense.cli.main import main
from imbdense.data.points import PointCloud, read_points
from imbdense.data.points.write import write_points
from tests.helpers.shared_data import shared_data_dir
from tests.mm.points.toy import CLASSES, toy_cloud, toy_config

laspy = pytest.importorskip('laspy')


def predict(folder: Path, clouds: list[Path], out: Path, *options: str) -> int:
    config = folder / 'toy.py'
    return main(['predict', 'points', str(config), str(folder / 'toy.pth'), *map(str, clouds), '--out', str(out),
                 '--block', '20', '--device', 'cpu', *options])  # fmt: skip


def las(folder: Path, name: str = 'tile.las', cloud: PointCloud | None = None) -> Path:
    """A file with fields that no model knows."""
    cloud = toy_cloud() if cloud is None else cloud
    extra = {'gps_time': np.arange(len(cloud)) / 8, 'amplitude': np.arange(len(cloud), dtype=np.int32)}
    write_points(folder / name, cloud.replace(attributes={**cloud.attributes, **extra}))
    return folder / name


def test_labels_are_right_and_all_fields_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_config(tmp_path)
    source = las(tmp_path)
    assert predict(tmp_path, [source], tmp_path / 'out.las', '--workers', '2') == 0
    before, after = laspy.read(source), laspy.read(tmp_path / 'out.las')
    for name in before.point_format.dimension_names:
        np.testing.assert_array_equal(np.asarray(before[name]), np.asarray(after[name]), err_msg=name)
    np.testing.assert_array_equal(np.asarray(after['predicted']), np.asarray(before['classification']))
    assert (np.asarray(after['confidence']) > 0.7).all()
    assert list(tmp_path.glob('.unfinished*')) == []
    shown = capsys.readouterr().out
    assert all(name in shown for name in CLASSES) and '3,000 points of 1 file(s)' in shown


def test_a_real_tile_keeps_every_field(tmp_path: Path) -> None:
    """IGN LiDAR HD, LAZ with extra dimensions and records of its own; the copy differs by two dimensions."""
    pytest.importorskip('lazrs')
    source = shared_data_dir('ign_lidar_hd', 'val', 'tile_77060_627760.laz')
    toy_config(tmp_path)
    assert predict(tmp_path, [source], tmp_path / 'out.laz', '--block', '40') == 0
    before, after = laspy.read(source), laspy.read(tmp_path / 'out.laz')
    for name in before.point_format.dimension_names:
        np.testing.assert_array_equal(np.asarray(before[name]), np.asarray(after[name]), err_msg=name)
    added = set(after.point_format.dimension_names) - set(before.point_format.dimension_names)
    assert added == {'predicted', 'confidence'} and (after.header.scales == before.header.scales).all()
    assert set(np.unique(np.asarray(after['predicted'])).tolist()) <= {2, 6, 60}


def test_classification_can_be_exchanged_and_other_formats_work(tmp_path: Path) -> None:
    toy_config(tmp_path)
    cloud = toy_cloud(800)
    unlabelled = PointCloud(cloud.xyz, dict(cloud.attributes))
    write_points(tmp_path / 'a.ply', unlabelled)
    write_points(tmp_path / 'b.las', unlabelled)
    assert predict(tmp_path, [tmp_path / 'a.ply', tmp_path / 'b.las'], tmp_path / 'out') == 0
    found = read_points(tmp_path / 'out' / 'a.ply')
    np.testing.assert_array_equal(found.attributes['predicted'].ravel(), cloud.semantic)
    np.testing.assert_array_equal(found.xyz, cloud.xyz)
    assert predict(tmp_path, [tmp_path / 'b.las'], tmp_path / 'c.las', '--field', 'classification') == 0
    np.testing.assert_array_equal(read_points(tmp_path / 'c.las').semantic, cloud.semantic)


def test_an_earlier_prediction_in_the_file_is_replaced(tmp_path: Path) -> None:
    toy_config(tmp_path)
    first = las(tmp_path)
    assert predict(tmp_path, [first], tmp_path / 'one.las') == 0
    old = laspy.read(str(tmp_path / 'one.las'))
    right = np.array(old['predicted'])
    old['predicted'], old['confidence'] = np.full(3000, 77), np.full(3000, -1.0)
    old.write(str(tmp_path / 'old.las'))
    assert predict(tmp_path, [tmp_path / 'old.las'], tmp_path / 'two.las') == 0
    found = laspy.read(str(tmp_path / 'two.las'))
    np.testing.assert_array_equal(found['predicted'], right)
    assert (found['confidence'] > 0).all()


def test_what_cannot_be_written_is_said_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_config(tmp_path)
    monkeypatch.setattr('imbdense.mm.points.job.make_buckets', lambda *a: pytest.fail('points were sorted'))
    cloud = toy_cloud(50)
    old = laspy.create(point_format=1, file_version='1.2')
    old.x, old.y, old.z = cloud.xyz.T
    old.intensity = cloud.attributes['intensity']
    old.write(str(tmp_path / 'old.las'))
    assert predict(tmp_path, [tmp_path / 'old.las'], tmp_path / 'out.las', '--field', 'classification') == 2
    assert 'holds 0 to 31 in point format 1, but the labels have [60]' in capsys.readouterr().err
    attributes = {**cloud.attributes, 'confidence': np.ones(50, np.uint8)}
    write_points(tmp_path / 'own.las', cloud.replace(attributes=attributes))
    assert predict(tmp_path, [tmp_path / 'own.las'], tmp_path / 'out.las') == 2
    assert "'confidence' of another type (uint8)" in capsys.readouterr().err
    assert predict(tmp_path, [tmp_path / 'own.las'], tmp_path / 'out.xyz') == 2
    assert '.xyz cannot be written' in capsys.readouterr().err
    for option, message in (('--block=nan', '--block must be above 0 m, but is nan'),
                            ('--overlap=19.999', 'Take a larger --block')):
        assert predict(tmp_path, [tmp_path / 'old.las'], tmp_path / 'out.las', option) == 2
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['old.las', 'own.las', 'toy.pth', 'toy.py']


def test_a_file_that_was_mended_needs_no_clearing_up(tmp_path: Path) -> None:
    toy_config(tmp_path)
    rows = ['x y z intensity', *['1 2 3 500'] * 2000, '1 2 3 nan']
    (tmp_path / 'a.txt').write_text('\n'.join(rows))
    assert predict(tmp_path, [tmp_path / 'a.txt'], tmp_path / 'out.txt') == 2
    (tmp_path / 'a.txt').write_text('\n'.join(rows[:-1]))
    assert predict(tmp_path, [tmp_path / 'a.txt'], tmp_path / 'out.txt') == 0


def test_points_of_a_wide_file_in_any_order_are_probed_near_each_other(tmp_path: Path) -> None:
    toy_config(tmp_path, [
        {'type': 'imbdense.LoadPoints', 'attributes': ['intensity']}, {'type': 'imbdense.PointHeight'},
        {'type': 'imbdense.PackPointInputs', 'features': ['intensity']},
    ])  # fmt: skip
    near, far = toy_cloud(200), toy_cloud(200)
    both = PointCloud(np.concatenate([near.xyz, far.xyz + [1e6, 1e6, 0]]), {
        'intensity': np.concatenate([near.attributes['intensity'], far.attributes['intensity']])})
    write_points(tmp_path / 'wide.npz', both)
    assert predict(tmp_path, [tmp_path / 'wide.npz'], tmp_path / 'out.npz') == 0


def test_the_same_bytes_for_any_workers_and_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_config(tmp_path, context=True, voxel_size=0.6)
    source = las(tmp_path)
    stored = []
    for workers in (1, 3):
        assert predict(tmp_path, [source], tmp_path / f'{workers}.las', '--workers', str(workers)) == 0
        stored.append((tmp_path / f'{workers}.las').read_bytes())
    from imbdense.data.points.tiles import VoteStore

    unfinished = VoteStore.unfinished
    monkeypatch.setattr(VoteStore, 'unfinished', lambda self, blocks: unfinished(self, blocks)[::-1])
    monkeypatch.setattr('imbdense.data.points.tiles.buckets.CHUNK', 333)
    assert predict(tmp_path, [source], tmp_path / 'reversed.las') == 0
    stored.append((tmp_path / 'reversed.las').read_bytes())
    assert stored[0] == stored[1] == stored[2]
    labels = np.asarray(laspy.read(tmp_path / '1.las')['predicted'])
    assert len(np.unique(labels)) > 1


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """SIGKILL after some blocks; then the same command gives the bytes of a run that was not killed."""
    toy_config(tmp_path, context=True, voxel_size=0.6)
    source = las(tmp_path)
    assert predict(tmp_path, [source], tmp_path / 'whole.las') == 0
    code = (
        'import os, signal, sys\n'
        'from imbdense.data.points.tiles import VoteStore\n'
        'write = VoteStore.write\n'
        'def last(self, *args):\n'
        '    write(self, *args)\n'
        '    if len(list(self.folder.glob("*.npz"))) == 7: os.kill(os.getpid(), signal.SIGKILL)\n'
        'VoteStore.write = last\n'
        'from imbdense.cli.main import main\n'
        'main(["predict", "points", "toy.py", "toy.pth", "tile.las", "--out", "killed.las", "--block", "20", '
        '"--device", "cpu", "--workers", "1"])\n'
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(Path.cwd()), *sys.path])}
    died = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    folder = tmp_path / '.unfinished_killed.las'
    assert not (tmp_path / 'killed.las').exists() and len(list((folder / 'votes').glob('*.npz'))) == 7
    times = {path.name: path.stat().st_mtime_ns for path in (folder / 'votes').iterdir()}
    assert times
    assert predict(tmp_path, [tmp_path / 'tile.las'], tmp_path / 'killed.las') == 0
    assert (tmp_path / 'killed.las').read_bytes() == (tmp_path / 'whole.las').read_bytes()


def test_neighbouring_tiles_see_each_other(tmp_path: Path) -> None:
    """Two tiles predicted together give what one file with all their points gives."""
    toy_config(tmp_path, context=True, voxel_size=0.6)
    whole = toy_cloud()
    west = whole.xyz[:, 0] < 650_020
    las(tmp_path, 'west.las', whole.take(west))
    las(tmp_path, 'east.las', whole.take(~west))
    together = whole.take(np.concatenate((np.flatnonzero(west), np.flatnonzero(~west))))
    las(tmp_path, 'all.las', together)
    assert predict(tmp_path, [tmp_path / 'west.las', tmp_path / 'east.las'], tmp_path / 'apart') == 0
    assert predict(tmp_path, [tmp_path / 'all.las'], tmp_path / 'one.las') == 0
    assert predict(tmp_path, [tmp_path / 'west.las'], tmp_path / 'alone.las') == 0
    one = np.asarray(laspy.read(tmp_path / 'one.las')['confidence'])
    parts = [np.asarray(laspy.read(tmp_path / 'apart' / f'{side}.las')['confidence']) for side in ('west', 'east')]
    np.testing.assert_array_equal(np.concatenate(parts), one)
    assert (np.asarray(laspy.read(tmp_path / 'alone.las')['confidence']) != parts[0]).any()


def test_reduced_points_and_rotations_reach_every_raw_point(tmp_path: Path) -> None:
    toy_config(tmp_path, [
        {'type': 'imbdense.LoadPoints', 'attributes': ['intensity']},
        {'type': 'imbdense.GridSample', 'size': 0.02, 'mode': 'first'},
        {'type': 'imbdense.PackPointInputs', 'features': ['intensity', 'xyz']},
    ])  # fmt: skip
    cloud = toy_cloud(1500)
    doubled = PointCloud(
        np.repeat(cloud.xyz, 2, axis=0), {'intensity': np.repeat(cloud.attributes['intensity'], 2)},
        np.repeat(cloud.semantic, 2),
    )  # fmt: skip
    write_points(tmp_path / 'tile.npz', doubled)
    assert predict(tmp_path, [tmp_path / 'tile.npz'], tmp_path / 'out.npz', '--rotations', '3') == 0
    found = read_points(tmp_path / 'out.npz').attributes['predicted'].ravel()
    assert (found == doubled.semantic).mean() > 0.999


def test_errors_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_config(tmp_path)
    cloud = toy_cloud(50)

    def said(clouds: list[Path], out: str = 'out.las', *options: str) -> str:
        assert predict(tmp_path, clouds, tmp_path / out, *options) == 2
        return capsys.readouterr().err

    bare = tmp_path / 'bare.npz'
    write_points(bare, PointCloud(cloud.xyz))
    assert 'bare.npz' in (text := said([bare], 'out.npz')) and 'intensity' in text
    (tmp_path / 'empty.txt').write_text('x y z intensity\n')
    assert 'empty.txt' in (text := said([tmp_path / 'empty.txt'], 'out.txt')) and 'no points' in text
    (tmp_path / 'nan.txt').write_text('x y z intensity\n1 2 3 4\nnan 2 3 4\n')
    assert 'nan.txt' in (text := said([tmp_path / 'nan.txt'], 'out.txt')) and 'NaN' in text
    (tmp_path / 'worth.txt').write_text('x y z intensity\n1 2 3 4\n1 2 3 nan\n')
    assert 'intensity is NaN' in said([tmp_path / 'worth.txt'], 'out.txt')
    source = las(tmp_path)
    assert 'is an input' in said([source], 'tile.las')
    assert 'name a folder' in said([source, source])
    assert 'half of what blocks share' in said([source], 'o.las', '--halo', '9')
    assert '--workers must be at least 1' in said([source], 'o.las', '--workers', '0')
    assert 'does not exist' in said([tmp_path / 'gone.las'])
    toy_config(tmp_path, [
        {'type': 'imbdense.LoadPoints', 'attributes': ['intensity']},
        {'type': 'imbdense.PackPointInputs', 'features': ['rgb']},
    ])  # fmt: skip
    assert 'tile.las' in (text := said([source], 'o.las')) and "no 'rgb'" in text


def test_other_settings_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_config(tmp_path)
    source = las(tmp_path)
    from imbdense.data.points.tiles import VoteStore

    write = VoteStore.write
    with pytest.MonkeyPatch.context() as patch:

        def stop(self: VoteStore, *args: object) -> None:
            write(self, *args)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        patch.setattr(VoteStore, 'write', stop)
        assert predict(tmp_path, [source], tmp_path / 'out.las') == 130
    assert predict(tmp_path, [source], tmp_path / 'out.las', '--halo', '1') == 2
    assert 'halo was 2.5, now 1.0' in capsys.readouterr().err
    assert predict(tmp_path, [source], tmp_path / 'out.las') == 0
