"""`imbdense predict raster`: the same bytes however it is run, the grid of the input, clear errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
rasterio = pytest.importorskip('rasterio')

from imbdense.cli.main import run_verb  # noqa: E402
from imbdense.cli.predict_raster import UNITS  # noqa: E402
from tests.helpers.raster_scene import CLASSES, PALETTE, TRANSFORM, read_map, scene, write_model, write_raster  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 531, 1111
HOLE = slice(300, 420), slice(500, 640)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_model(tmp_path_factory.mktemp('model'))


@pytest.fixture(scope='module')
def pooled(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_model(tmp_path_factory.mktemp('pooled'), pooling=True)


@pytest.fixture(scope='module')
def raster(tmp_path_factory: pytest.TempPathFactory) -> str:
    values = scene(HEIGHT, WIDTH)
    values[(slice(None), *HOLE)] = 0
    return write_raster(tmp_path_factory.mktemp('raster') / 'scene.tif', values)


def predict(model: list[str], rasters: list[str], out: Path, *options: str) -> int:
    return run_verb('predict', ['raster', *model, *rasters, '--out', str(out), '--tile', '128', *options])


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def whole_forward(model: list[str], values: np.ndarray) -> np.ndarray:
    """Labels of one pass over the whole raster."""
    from mmengine.config import Config

    from imbdense.mm.predictor import Predictor
    from imbdense.mm.segmentors.networks import class_logits

    network = Predictor(Config.fromfile(model[0]), model[1], 'cpu').model
    inputs = (torch.from_numpy(values.astype(np.float32))[None] - 100) / 50
    with torch.inference_mode():
        return class_logits(network, inputs)[0].argmax(0).numpy()


def test_halo_map_equals_one_pass_over_the_whole_raster(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sizes off the tile's grid but even, as the network halves them."""
    values = scene(238, 330)
    path = write_raster(tmp_path / 'scene.tif', values)
    assert predict(model, [path], tmp_path / 'out') == 0
    assert 'context of 7 pixels cut off' in capsys.readouterr().out
    found = read_map(tmp_path / 'out' / 'label.tif')
    assert len(np.unique(found)) == 4
    assert np.array_equal(found, whole_forward(model, values))


def test_output_lies_on_the_grid_of_the_input(model: list[str], raster: str, tmp_path: Path) -> None:
    assert predict(model, [raster], tmp_path, '--layers', 'label', 'confidence') == 0
    with rasterio.open(raster) as source, rasterio.open(tmp_path / 'label.tif') as label:
        assert (label.crs, label.transform, label.shape) == (source.crs, source.transform, source.shape)
        assert label.nodata == 255 and label.profile['tiled'] and label.compression.value == 'DEFLATE'
        assert json.loads(label.tags(1)['CLASS_NAMES']) == list(CLASSES)
        assert [label.colormap(1)[k][:3] for k in range(4)] == [*PALETTE]
        assert label.tags()['NORMALIZATION'] == '{"mean": [100.0, 100.0, 100.0], "std": [50.0, 50.0, 50.0]}'
    for name in ('label.tif', 'confidence.tif'):
        hole = np.zeros((HEIGHT, WIDTH), bool)
        hole[HOLE] = True
        assert np.array_equal(read_map(tmp_path / name) == 255, hole)
    areas = json.loads((tmp_path / 'areas.json').read_text())['label']
    assert areas['nodata_pixels'] == 120 * 140
    assert sum(row['pixels'] for row in areas['classes']) == HEIGHT * WIDTH - 120 * 140
    assert not (tmp_path / UNITS).exists()


VARIANTS = (
    ('--block-size', '512', '--workers', '0'), ('--block-size', '1024', '--batch-size', '7', '--workers', '4'),
)  # fmt: skip


@pytest.mark.parametrize('kind', ['model', 'pooled'])
def test_same_bytes_for_any_blocks_batches_and_workers(
    kind: str, raster: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    network = request.getfixturevalue(kind)
    layers = ('--layers', 'label', 'confidence', 'entropy')
    assert predict(network, [raster], tmp_path / 'whole', *layers) == 0
    assert ('blended' if kind == 'pooled' else 'cut off') in capsys.readouterr().out
    expected = files(tmp_path / 'whole')
    assert len(np.unique(read_map(tmp_path / 'whole' / 'label.tif'))) >= 4
    for number, options in enumerate(VARIANTS):
        assert predict(network, [raster], tmp_path / f'{number}', *layers, *options) == 0
        assert files(tmp_path / f'{number}') == expected, options


def test_shards_and_ranks_give_the_bytes_of_one_run(
    model: list[str], raster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(model, [raster], tmp_path / 'one') == 0
    for shard in ('1/2', '0/2'):
        assert predict(model, [raster], tmp_path / 'shards', '--shard', shard) == 0
        assert not (tmp_path / 'shards' / 'label.tif').exists()
    assert predict(model, [raster], tmp_path / 'shards') == 0
    assert files(tmp_path / 'shards') == files(tmp_path / 'one')
    monkeypatch.setenv('WORLD_SIZE', '2')
    for rank in ('1', '0'):  # as torchrun starts them; rank 0 waits for the others and joins
        monkeypatch.setenv('RANK', rank)
        assert predict(model, [raster], tmp_path / 'ranks') == 0
    assert files(tmp_path / 'ranks') == files(tmp_path / 'one')


@pytest.mark.slow
def test_torchrun(model: list[str], raster: str, tmp_path: Path) -> None:
    assert predict(model, [raster], tmp_path / 'one') == 0
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m', 'imbdense',
               'predict', 'raster', *model, raster, '--out', str(tmp_path / 'ranks'), '--tile', '128']
    subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    assert files(tmp_path / 'ranks') == files(tmp_path / 'one')


@pytest.mark.slow
def test_killed_half_way_and_resumed(model: list[str], tmp_path: Path) -> None:
    """SIGKILL while units are being written; the second run goes on and gives the same files."""
    path = write_raster(tmp_path / 'scene.tif', scene(4096, 1111))
    assert predict(model, [path], tmp_path / 'whole', '--layers', 'label', 'confidence') == 0
    command = [sys.executable, '-m', 'imbdense', 'predict', 'raster', *model, path, '--out', str(tmp_path / 'killed'),
               '--tile', '128', '--layers', 'label', 'confidence', '--block-size', '512']
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    units = tmp_path / 'killed' / UNITS / 'confidence'
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and len(list(units.glob('*.tif')) if units.exists() else []) < 12:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in units.glob('*.tif')}
    assert 12 <= len(finished) < 24 and not (tmp_path / 'killed' / 'label.tif').exists()
    kept = units.parent / 'label'
    before = {path.name for path in kept.glob('*.tif')}
    assert predict(model, [path], tmp_path / 'killed', '--layers', 'label', 'confidence') == 0
    assert before and files(tmp_path / 'killed') == files(tmp_path / 'whole')


def test_resume_computes_only_what_is_missing(model: list[str], raster: str, tmp_path: Path) -> None:
    assert predict(model, [raster], tmp_path, '--shard', '0/2') == 0
    unit = next((tmp_path / UNITS / 'label').glob('*.tif'))
    before = unit.stat().st_mtime_ns
    assert predict(model, [raster], tmp_path, '--shard', '0/2') == 0
    assert unit.stat().st_mtime_ns == before


def test_unfinished_map_of_another_run_is_not_mixed_in(
    model: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(model, [raster], tmp_path, '--shard', '0/2') == 0
    assert predict(model, [raster], tmp_path, '--overlap', '9', '--mode', 'halo') == 2
    assert 'overlap was 7, now 9' in capsys.readouterr().err
    loader = 'test_dataloader.dataset.pipeline.0'
    assert predict(model, [raster], tmp_path, '--shard', '0/2', '--cfg-options', f'{loader}.value_range=(0,99)') == 2
    assert 'loading was' in capsys.readouterr().err


def test_two_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = write_model(tmp_path / 'model', dates=2, classes=2)
    one, two = scene(150, 140, seed=1), scene(150, 140, seed=2)
    two[:, 20:30, 40:50] = 0
    pair = [write_raster(tmp_path / f'{name}.tif', value) for name, value in (('t1', one), ('t2', two))]
    options = ('--layers', 'change', 'p_change', '--polygons')
    assert predict(change, pair, tmp_path / 'out', *options) == 0
    assert np.array_equal(
        read_map(tmp_path / 'out' / 'change.tif')[:10], whole_forward(change, np.concatenate([one, two]))[:10]
    )
    found, p = read_map(tmp_path / 'out' / 'change.tif'), read_map(tmp_path / 'out' / 'p_change.tif')
    valid = found != 255
    assert (~valid).sum() == 100 and np.array_equal(valid, p != 255)
    assert (found[valid & (p > 127)] == 1).all() and (found[valid & (p < 127)] == 0).all()
    assert (tmp_path / 'out' / 'change.gpkg').stat().st_size > 0
    with rasterio.open(tmp_path / 'out' / 'change.tif') as source:
        assert json.loads(source.tags(1)['CLASS_NAMES']) == ['unchanged', 'changed']
    assert predict(change, pair[:1], tmp_path / 'one') == 2
    assert 'takes 2 date(s), but 1 raster(s)' in capsys.readouterr().err
    moved = write_raster(tmp_path / 'moved.tif', two, crs='EPSG:32634')
    assert predict(change, [pair[0], moved], tmp_path / 'moved') == 2
    assert 'differ in coordinate system' in capsys.readouterr().err


def test_least_area_and_polygons_before_anything_is_measured(
    model: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal to the filters in memory; the same bytes from other panels, and from shards that another run joins."""
    from imbdense.data.change.map_filters import minimum_mapping_unit, polygon_majority

    assert predict(model, [raster], tmp_path / 'raw', '--layers', 'label', 'confidence') == 0
    west, east, north, south = 500_100, 500_900, 5_299_900, 5_299_300
    parcel = {'type': 'Polygon', 'coordinates': [
        [[west, north], [east, north], [east, south], [west, south], [west, north]]]}
    crs = {'type': 'name', 'properties': {'name': 'EPSG:32633'}}
    path = tmp_path / 'parcels.geojson'
    path.write_text(json.dumps({'type': 'Feature', 'crs': crs, 'properties': {}, 'geometry': parcel}))
    options = ('--layers', 'label', 'confidence', '--min-area', '2000', '--polygon-majority', str(path), '--min-share',
               '0.2', '--polygons')
    assert predict(model, [raster], tmp_path / 'out', *options) == 0
    assert 'patches are given away' in capsys.readouterr().out
    raw, found = read_map(tmp_path / 'raw' / 'label.tif'), read_map(tmp_path / 'out' / 'label.tif')
    voted = polygon_majority(raw, [parcel], rasterio.Affine(*TRANSFORM), least_share=0.2)
    expected = minimum_mapping_unit(voted, 6.0, 2000.0, raw != 255)
    assert np.array_equal(found, expected)
    assert not np.array_equal(voted, raw)
    assert not np.array_equal(expected, voted)
    assert files(tmp_path / 'raw')['confidence.tif'] == files(tmp_path / 'out')['confidence.tif']
    rows = json.loads((tmp_path / 'out' / 'areas.json').read_text())['label']['classes']
    assert [row['pixels'] for row in rows] == [int((found == k).sum()) for k in range(4)]
    with rasterio.open(tmp_path / 'out' / 'label.tif') as source:
        assert json.loads(source.tags()['FILTERS'])['least_area_m2'] == 2000.0
        assert source.colormap(1)[1][:3] == PALETTE[1]
    assert predict(model, [raster], tmp_path / 'panels', *options, '--block-size', '512', '--workers', '0') == 0
    assert predict(model, [raster], tmp_path / 'shards', *options, '--shard', '1/2') == 0
    (tmp_path / 'shards' / UNITS / 'filtered').mkdir()
    (tmp_path / 'shards' / UNITS / 'filtered' / 'label.tif').write_bytes(b'of a run that was killed')
    assert predict(model, [raster], tmp_path / 'shards', *options) == 0
    for other in ('panels', 'shards'):
        assert files(tmp_path / other) == files(tmp_path / 'out')


@pytest.mark.parametrize(('option', 'said'), [
    (('--min-area', '0'), '--min-area must be'), (('--min-share', '0.5'), 'goes with --polygon-majority'),
    (('--polygon-majority', 'none.gpkg'), 'none.gpkg: cannot be read'),
    (('--min-area', '9', '--layers', 'confidence'), 'none of the layers label is wanted'),
])  # fmt: skip
def test_wrong_filters(
    option: tuple[str, ...], said: str, model: list[str], raster: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict(model, [raster], tmp_path, *option) == 2
    assert said in capsys.readouterr().err


def test_raster_smaller_than_a_tile(model: list[str], tmp_path: Path) -> None:
    path = write_raster(tmp_path / 'small.tif', scene(30, 1))
    assert predict(model, [path], tmp_path / 'out') == 0
    assert read_map(tmp_path / 'out' / 'label.tif').shape == (30, 1)


def test_half_precision_is_close(model: list[str], tmp_path: Path) -> None:
    path = write_raster(tmp_path / 'scene.tif', scene(100, 120))
    for name, options in (('full', ()), ('half', ('--amp',))):
        assert predict(model, [path], tmp_path / name, *options) == 0
    same = read_map(tmp_path / 'full' / 'label.tif') == read_map(tmp_path / 'half' / 'label.tif')
    assert 0.95 < same.mean() < 1


def test_areas_estimated_from_reference_points(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Points that agree with the map everywhere: the estimate is the share of pixels, without doubt."""
    path = write_raster(tmp_path / 'scene.tif', scene(100, 120))
    assert predict(model, [path], tmp_path / 'map') == 0
    found = read_map(tmp_path / 'map' / 'label.tif')
    lines = ['x,y,class']
    with rasterio.open(path) as source:
        for value in range(4):
            for row, column in np.argwhere(found == value)[:3]:
                x, y = source.xy(row, column)
                lines.append(f'{x},{y},{CLASSES[value]}')
    (tmp_path / 'points.csv').write_text('\n'.join(lines) + '\n')
    assert predict(model, [path], tmp_path / 'map', '--area-points', str(tmp_path / 'points.csv')) == 0
    assert '95 % interval' in capsys.readouterr().out
    for row in json.loads((tmp_path / 'map' / 'areas.json').read_text())['label']['classes']:
        assert row['estimated_share'] == pytest.approx(row['share']) == row['estimated_low']


def test_no_data_anywhere_is_said(model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_raster(tmp_path / 'empty.tif', np.zeros((3, 200, 150), np.uint16))
    assert predict(model, [path], tmp_path / 'out') == 1
    assert 'no pixel of' in capsys.readouterr().out
    assert (read_map(tmp_path / 'out' / 'label.tif') == 255).all()


def test_bad_input_is_named(
    model: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / 'cut.tif'
    cut.write_bytes(Path(raster).read_bytes()[:200_000])
    two_bands = write_raster(tmp_path / 'two.tif', scene(64, 64, 2))
    for path, said in (
        (str(cut), 'cut.tif: cannot be read as a raster'), (two_bands, 'does not take tiles of 2 channels'),
        (str(tmp_path / 'none.tif'), 'none.tif: cannot be read'),
    ):  # fmt: skip
        assert predict(model, [path], tmp_path / 'out') == 2
        assert said in capsys.readouterr().err
    assert predict(model, [raster], tmp_path / 'out', '--bands', '1', '2', '7') == 2
    assert 'lacks band 7' in capsys.readouterr().err


def test_damage_found_half_way_keeps_what_is_finished(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A block in the middle is destroyed: the rows above are kept, the message names the file."""
    path = tmp_path / 'scene.tif'
    write_raster(path, scene(1700, 130))
    with rasterio.open(path) as source:
        place = int(source.get_tag_item('BLOCK_OFFSET_0_12', 'TIFF', bidx=1))
    content = bytearray(path.read_bytes())
    content[place : place + 200] = b'\xff' * 200
    path.write_bytes(content)
    assert predict(model, [str(path)], tmp_path / 'out') == 2
    assert 'scene.tif: cannot be read as a raster' in capsys.readouterr().err
    assert list((tmp_path / 'out' / UNITS / 'label').glob('*.tif'))


@pytest.mark.parametrize(('option', 'said'), [
    (('--shard', '2/2'), '--shard must be I/N'), (('--batch-size', '0'), '--batch-size must be at least 1'),
    (('--layers', 'change'), 'layers of this model are label'), (('--mode', 'blend', '--overlap', '128'), '--overlap'),
])  # fmt: skip
def test_wrong_options(
    option: tuple[str, ...], said: str, model: list[str], raster: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict(model, [raster], tmp_path, *option) == 2
    assert said in capsys.readouterr().err


def test_halo_for_a_network_that_sees_everything(
    pooled: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(pooled, [raster], tmp_path, '--mode', 'halo') == 2
    assert 'Use --mode blend' in capsys.readouterr().err


def test_an_input_is_never_overwritten(model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The raster is called as the map will be and lies in the folder of the result."""
    path = Path(write_raster(tmp_path / 'label.tif', scene(64, 64)))
    before = path.read_bytes()
    assert predict(model, [str(path)], tmp_path) == 2
    assert 'label.tif is an input' in capsys.readouterr().err
    assert path.read_bytes() == before and not (tmp_path / UNITS).exists()


@pytest.mark.parametrize(('options', 'said'), [
    (('--layers', 'confidence', '--polygons'), 'none of the layers confidence holds any'),
    (('--layers', 'entropy', '--area-points', 'points.csv'), 'none of the layers entropy holds any'),
    (('--area-points', 'nowhere.csv'), 'nowhere.csv cannot be read as a table of reference points'),
])  # fmt: skip
def test_what_cannot_be_done_in_the_end_is_said_at_the_start(
    options: tuple[str, ...], said: str, model: list[str], raster: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict(model, [raster], tmp_path / 'out', *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_names_of_the_result_that_are_taken(
    model: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'file').write_text('')
    assert predict(model, [raster], tmp_path / 'file') == 2
    assert 'is a file; give a folder' in capsys.readouterr().err
    (tmp_path / 'out' / 'label.tif').mkdir(parents=True)
    assert predict(model, [raster], tmp_path / 'out') == 2
    assert 'label.tif is a folder' in capsys.readouterr().err


def test_points_that_tell_nothing_and_files_of_another_map(
    model: list[str], raster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, out = tmp_path / 'points.csv', tmp_path / 'out'
    points.write_text('x,y,class\n0,0,town\n')
    out.mkdir()
    (out / 'label.gpkg').write_text('of an earlier map')
    assert predict(model, [raster], out, '--area-points', str(points)) == 0
    told = capsys.readouterr().out
    assert '1 reference points lie outside the map' in told and 'no estimate: at least two reference points' in told
    assert 'label.gpkg lay there before' in told
