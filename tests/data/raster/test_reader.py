"""Stacks of bands and the feed of rows: the same pixels as one read of everything; broken files are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rasterio')

from imbdense.data.raster import reader
from imbdense.data.raster.reader import RasterStack, RowFeed
from tests.helpers.raster_scene import scene, write_raster


@pytest.mark.parametrize('threads', [0, 3])
@pytest.mark.parametrize('tiled', [True, False])
def test_feed_gives_the_rows_of_one_read(
    tmp_path: Path, threads: int, tiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, 'PIECE_ROWS', 64)
    monkeypatch.setattr(reader, 'PIECE_COLUMNS', 64)
    layout = {'blockxsize': 32, 'blockysize': 32} if tiled else {'tiled': False, 'blockxsize': None, 'blockysize': None}
    stack = RasterStack([write_raster(tmp_path / 'a.tif', scene(300, 170), **layout)])
    values, valid = stack.read(20, 290, 11, 160)
    with RowFeed(stack, 20, 290, 11, 160, threads) as feed:
        for start, stop in ((20, 90), (70, 140), (120, 121), (200, 290)):
            found, known = feed.rows(start, stop)
            assert np.array_equal(found, values[:, start - 20 : stop - 20])
            assert np.array_equal(known, valid[start - 20 : stop - 20])
    stack.close()


def test_pieces_start_and_end_with_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No block is asked for twice, wherever the window starts."""
    monkeypatch.setattr(reader, 'PIECE_ROWS', 64)
    monkeypatch.setattr(reader, 'PIECE_COLUMNS', 64)
    stack = RasterStack([write_raster(tmp_path / 'a.tif', scene(300, 170), blockxsize=32, blockysize=32)])
    asked = np.zeros((10, 6), int)
    whole = stack.read

    def counting(top: int, bottom: int, left: int, right: int) -> reader.Planes:
        asked[top // 32 : -(-bottom // 32), left // 32 : -(-right // 32)] += 1
        return whole(top, bottom, left, right)

    monkeypatch.setattr(stack, 'read', counting)
    with RowFeed(stack, 40, 300, 50, 170, 0) as feed:
        feed.rows(40, 300)
    assert asked.max() == 1 and asked[1:, 1:].min() == 1


def test_dates_are_joined_and_a_hole_of_one_is_a_hole_of_all(tmp_path: Path) -> None:
    one, two = scene(40, 50, seed=1), scene(40, 50, seed=2)
    one[1, 5, 6], two[:, 7, 8] = 0, 0
    stack = RasterStack([write_raster(tmp_path / f'{k}.tif', v) for k, v in (('a', one), ('b', two))], bands=[3, 1])
    values, valid = stack.read(0, 40, 0, 50)
    assert np.array_equal(values, np.concatenate([one[[2, 0]], two[[2, 0]]]))
    assert valid[5, 6] and not valid[7, 8]  # band 2 is not read


def test_alpha_is_a_mask_and_no_band(tmp_path: Path) -> None:
    import rasterio
    from rasterio.enums import ColorInterp

    values = np.full((4, 20, 20), 200, np.uint8)
    values[3, 4, 5] = 0
    path = write_raster(tmp_path / 'rgba.tif', values, nodata=None, photometric='RGB', alpha='yes')
    with rasterio.open(path) as source:
        assert source.colorinterp[3] == ColorInterp.alpha
    stack = RasterStack([path])
    assert stack.bands == [1, 2, 3] and stack.alpha_is_mask and not stack.read(0, 20, 0, 20)[1][4, 5]
    named = RasterStack([path], bands=[1, 2, 3, 4])  # a near infrared that a writer marked so
    found, valid = named.read(0, 20, 0, 20)
    assert found[3, 4, 5] == 0 and valid.all()


def test_a_missing_band_names_the_file(tmp_path: Path) -> None:
    paths = [write_raster(tmp_path / 'a.tif', scene(20, 20)), write_raster(tmp_path / 'b.tif', scene(20, 20, 2))]
    with pytest.raises(ValueError, match=r'b\.tif lacks band 3: it has the bands 1 to 2'):
        RasterStack(paths)


@pytest.mark.parametrize('kept', [0.1, 0.6])
def test_a_file_that_is_cut_off_is_named_at_the_start(tmp_path: Path, kept: float) -> None:
    path = Path(write_raster(tmp_path / 'cut.tif', scene(600, 600)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(OSError, match=r'cut\.tif: cannot be read as a raster'):
        RasterStack([path])


def test_missing_file_and_no_raster(tmp_path: Path) -> None:
    (tmp_path / 'text.tif').write_text('hello')
    for name in ('text.tif', 'nothing.tif'):
        with pytest.raises(OSError, match=rf'{name}: cannot be read as a raster'):
            RasterStack([tmp_path / name])


@pytest.mark.parametrize('damage', ['cut', 'text', 'nothing'])
def test_only_the_broken_one_of_two_dates_is_named(tmp_path: Path, damage: str) -> None:
    whole, broken = Path(write_raster(tmp_path / 'whole.tif', scene(600, 600))), tmp_path / 'broken.tif'
    if damage == 'cut':
        broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    elif damage == 'text':
        broken.write_text('hello')
    with pytest.raises(OSError, match=r'broken\.tif: cannot be read as a raster') as error:
        RasterStack([whole, broken])
    assert 'whole.tif' not in str(error.value) and 'previous exception' not in str(error.value)


def test_number_types_of_the_dates_are_known(tmp_path: Path) -> None:
    paths = [write_raster(tmp_path / 'a.tif', scene(20, 20)),
             write_raster(tmp_path / 'b.tif', scene(20, 20).astype(np.float32))]
    assert RasterStack(paths).types == ('uint16', 'float32')
