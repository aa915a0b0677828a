"""Pictures of a report, whatever the file: what a person would recognise, not what PIL makes of it by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imbdense.report.images import read_rgb

RAMP = np.linspace(0, 1, 64)[None] * np.ones((48, 1))
COLOURS = (255 * np.stack([RAMP, RAMP[::-1], 1 - RAMP], axis=-1)).astype(np.uint8)


@pytest.mark.parametrize(('name', 'values'), [
    ('a.png', (60000 * RAMP + 2000).astype(np.uint16)), ('a.tif', (2000 * RAMP).astype(np.int32)),
    ('b.tif', (3 * RAMP).astype(np.float32)), ('b.png', (255 * RAMP).astype(np.uint8)),
])  # fmt: skip
def test_numbers_of_any_type_keep_their_contrast(tmp_path: Path, name: str, values: Any) -> None:
    Image.fromarray(values).save(tmp_path / name)
    shown = read_rgb(tmp_path / name)
    assert shown.shape == (48, 64, 3) and shown.dtype == np.uint8
    np.testing.assert_allclose(shown[..., 0], 255 * RAMP, atol=8)


def test_cmyk_and_palettes(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).convert('CMYK').save(tmp_path / 'a.jpg', quality=95)
    Image.fromarray(COLOURS).convert('P').save(tmp_path / 'a.png')
    for name in ('a.jpg', 'a.png'):
        assert np.abs(read_rgb(tmp_path / name).astype(int) - COLOURS).mean() < 16


def test_turned_as_the_exif_says(tmp_path: Path) -> None:
    """As OpenCV reads it for the models, whose boxes are drawn."""
    mmcv = pytest.importorskip('mmcv')
    picture = Image.fromarray(COLOURS)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / 'a.jpg', exif=exif, quality=95)
    shown = read_rgb(tmp_path / 'a.jpg')
    assert shown.shape == (64, 48, 3)
    np.testing.assert_allclose(shown, mmcv.imread(str(tmp_path / 'a.jpg'))[..., ::-1], atol=4)


def test_more_pixels_than_pil_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(COLOURS).save(tmp_path / 'a.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert read_rgb(tmp_path / 'a.png').shape == (48, 64, 3)


def test_rasters_of_many_bands(tmp_path: Path) -> None:
    rasterio = pytest.importorskip('rasterio')
    with rasterio.open(tmp_path / 'a.tif', 'w', driver='GTiff', width=64, height=48, count=5, dtype='uint16') as out:
        out.write(np.stack([(3000 * RAMP).astype(np.uint16)] * 5))
    np.testing.assert_allclose(read_rgb(tmp_path / 'a.tif')[..., 2], 255 * RAMP, atol=8)


@pytest.mark.parametrize('content', [b'', b'no picture', b'\x89PNG\r\n\x1a\nbroken'])
def test_what_is_no_picture_is_an_os_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(OSError, match=r'a\.png'):
        read_rgb(tmp_path / 'a.png')
