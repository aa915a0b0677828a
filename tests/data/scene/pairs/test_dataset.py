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

from imbdense.cli.main import main
from imbdense.data.scene.export_images import read_png
from imbdense.data.scene.manifest import file_digest
from imbdense.data.scene.pairs import dataset as module
from imbdense.data.scene.pairs.dataset import PairPlan, generate_pairs
from tests.data.scene.pairs.conftest import small_pair

rasterio = pytest.importorskip('rasterio')
pytest.importorskip('open3d')
FOLDERS = ('t1', 't2', 'label_change', 'label_t1', 'label_t2')


def plan(scenes: int = 3) -> PairPlan:
    """Small pairs, four tiles each."""
    return PairPlan(small_pair(), scenes, 1, 48)


def digests(root: Path) -> dict[str, str]:
    """sha256 of every file but the timings."""
    return {str(path.relative_to(root)): file_digest(path) for path in sorted(root.rglob('*'))
            if path.is_file() and path.name != 'timing.json'}


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set made without interruption."""
    root = tmp_path_factory.mktemp('pairs') / 'whole'
    generate_pairs(plan(), root)
    return root


def test_the_standard_layout_of_pairs(whole: Path) -> None:
    record = json.loads((whole / 'dataset.json').read_text())
    assert record['classes'] == ['unchanged', 'changed'] and record['dates'] == 2 and record['ignore_index'] == 255
    assert len(record['land_cover']) == len(record['land_cover_palette']) == 8
    train, val = ((whole / 'splits' / f'{split}.txt').read_text().split() for split in ('train', 'val'))
    assert len(train) == 8 and len(val) == 4 and not {name[:8] for name in train} & {name[:8] for name in val}
    for folder in FOLDERS:
        assert {path.stem for path in (whole / folder).iterdir()} == {*train, *val}
    for name in train:
        first, second, change = (read_png(whole / folder / f'{name}.png') for folder in ('label_t1', 'label_t2',
                                                                                         'label_change'))
        assert np.array_equal(change, (first != second).astype(np.uint8))
        assert read_png(whole / 't1' / f'{name}.png').shape == (48, 48, 3)


def test_the_data_sets_of_change_read_it_as_it_is(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip('mmseg.datasets')
    from imbdense.registry import DATASETS

    pairs = DATASETS.build({'type': 'imbdense.ChangePairDataset', 'data_root': str(whole),
                            'ann_file': 'splits/val.txt', 'pipeline': [{'type': 'imbdense.LoadChangePair'}]})
    item = pairs[0]
    assert len(pairs) == 4 and pairs.metainfo['land_cover'][3] == 'building' and item['img'].shape == (48, 48, 6)
    folder = whole / 'rasters' / 'pair_002'
    rasters = DATASETS.build({
        'type': 'imbdense.BiTemporalGeoTIFFDataset', 'window': 96, 'test_mode': True, 'normalize': 'per_scene',
        **{f'{name}sources': [{'key': 'img', 'path': str(folder / f't{date}.tif')},
                              {'key': 'dsm', 'path': str(folder / f'dsm_t{date}.tif'), 'kind': 'elevation'}]
           for date, name in ((1, ''), (2, 'second_'))},
        'label': {'path': str(folder / 'label_t1.tif')}, 'second_label': {'path': str(folder / 'label_t2.tif')},
        'metainfo': {'land_cover': pairs.metainfo['land_cover']}, 'cache_dir': str(tmp_path),
    })
    scene = rasters[0]
    assert [band.role for band in scene['bands']] == ['red', 'green', 'blue', 'nir', None] and scene['valid'].all()
    for key in ('gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2'):
        assert np.array_equal(scene[key][:48, :48], item[key])
    assert np.array_equal(scene['img'][:48, :48, [2, 1, 0]].astype(np.uint8), item['img'][..., :3])  # blue first


def test_tiles_are_cut_from_the_rasters(whole: Path) -> None:
    with rasterio.open(whole / 'rasters/pair_001/t2.tif') as source:
        raster = source.read([1, 2, 3]).transpose(1, 2, 0)
        left = source.bounds.left
    assert np.array_equal(read_png(whole / 't2/pair_001_01_00.png'), raster[48:, :48])
    with rasterio.open(whole / 'rasters/pair_000/t2.tif') as source:
        assert left - source.bounds.right == pytest.approx(50)


def test_an_interrupted_run_goes_on_and_gives_the_same(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                       ) -> None:
    root, made = tmp_path / 'set', []
    original = module.generate_pair

    def stopping(config: object, folder: Path) -> object:
        if len(made) == 1:
            (folder.parent / f'.{folder.name}.partial').mkdir()
            (folder.parent / f'.{folder.name}.partial' / 't1.tif').write_bytes(b'half')
            raise KeyboardInterrupt
        made.append(folder.name)
        return original(config, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(module, 'generate_pair', stopping)
    with pytest.raises(KeyboardInterrupt):
        generate_pairs(plan(), root)
    assert made == ['pair_000'] and not (root / 'dataset.json').exists()
    (root / 't1' / '.pair_001_00_00.png.tmp-write').write_bytes(b'half')
    monkeypatch.undo()
    stamp = (root / 'rasters/pair_000/manifest.json').stat().st_mtime_ns
    generate_pairs(plan(), root)
    assert (root / 'rasters/pair_000/manifest.json').stat().st_mtime_ns == stamp
    assert digests(root) == digests(whole)


def test_a_smaller_plan_takes_its_tiles_back(tmp_path: Path, whole: Path) -> None:
    generate_pairs(plan(2), tmp_path / 'set')
    (tmp_path / 'set/t1/mine.png').write_bytes(b'')
    (tmp_path / 'set/t1/pair_009_00_00.png').write_bytes(b'')
    generate_pairs(plan(2), tmp_path / 'set')
    left = {path.name for path in (tmp_path / 'set/t1').iterdir()}
    assert 'mine.png' in left and 'pair_009_00_00.png' not in left and len(left) == 9


def test_plans_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match='do not divide'):
        PairPlan(small_pair(), 2, 1, 64)
    with pytest.raises(ValueError, match='leaves no scene'):
        PairPlan(small_pair(), 2, 2, 48)


@pytest.mark.slow
def test_files_do_not_depend_on_workers_nor_on_a_kill(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / 'killed'
    code = ('from pathlib import Path\nfrom tests.data.scene.pairs.test_dataset import plan\n'
            'from imbdense.data.scene.pairs.dataset import generate_pairs\n'
            f"if __name__ == '__main__':\n    generate_pairs(plan(), Path({str(root)!r}), workers=2)\n")
    (tmp_path / 'run.py').write_text(code)
    environment = os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)}
    command = [sys.executable, str(tmp_path / 'run.py')]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        deadline = time.time() + 120
        while not list(root.glob('rasters/pair_*/manifest.json')) and time.time() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (root / 'dataset.json').exists()
    subprocess.run(command, env=environment, check=True, timeout=300)
    assert digests(root) == digests(whole)


@pytest.mark.parametrize('verb, kind', [('pairs', 'tiny'), ('scenes', 'small'), ('clouds', 'small'),
                                        ('cloud-pairs', 'small-lidar')])
def test_the_data_set_of_somebody_else_is_left_alone(
    tmp_path: Path, verb: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'dataset.json').write_text('{"mine": 1}')
    assert main(['generate', verb, '--preset', kind, '--num', '1', '--out', str(tmp_path)]) == 2
    assert 'holds data of another kind' in capsys.readouterr().err
    assert (tmp_path / 'dataset.json').read_text() == '{"mine": 1}'


def test_tiles_of_no_pixels_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['generate', 'pairs', '--preset', 'tiny', '--tile', '0', '--out', str(tmp_path / 'out')]) == 2
    assert 'tile must be an integer of at least 16, but got 0' in capsys.readouterr().err
