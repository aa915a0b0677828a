"""Masks as stored: values equal to PIL whatever decodes them; broken files name themselves and the cure."""

import numpy as np
import pytest
from PIL import Image

from imbdense.data.readers import masks
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import mask_size, read_mask
from tests.data.label_files import random_label, write_label
from tests.helpers.shared_data import shared_data_dir


@pytest.fixture(params=['compiled', 'gdal', 'pil'])
def decoder(request, monkeypatch):
    """All decoders; a file that one does not know goes to the next."""
    monkeypatch.setattr(masks, '_has_rasterio', lambda: request.param == 'gdal')
    if request.param == 'compiled':
        pytest.importorskip('numba')
        pytest.importorskip('deflate')
    else:
        monkeypatch.setattr(masks, '_png_decoder', lambda: None)
    if request.param == 'gdal':
        pytest.importorskip('rasterio')
    return request.param


@pytest.mark.parametrize('name', ['a.png', 'a.tif', 'a.bmp'])
@pytest.mark.parametrize('palette', [False, True])
def test_values_are_those_that_were_written(tmp_path, decoder, name, palette):
    label = random_label(1)
    path = write_label(tmp_path / name, label, palette=palette)
    assert np.array_equal(read_mask(path), label)
    assert mask_size(path) == label.shape


def test_a_palette_png_gives_indices_not_colours(tmp_path, decoder):
    label = np.array([[0, 1], [2, 1]], np.uint8)
    assert read_mask(write_label(tmp_path / 'p.png', label, palette=True)).tolist() == label.tolist()


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_small_bit_depths_equal_pil(tmp_path, decoder, bits):
    image = Image.fromarray((random_label(2) % 2).astype(np.uint8))
    image.putpalette(bytes(range(256)) * 3)
    image.save(tmp_path / 'b.png', bits=bits)
    assert np.array_equal(read_mask(tmp_path / 'b.png'), np.asarray(Image.open(tmp_path / 'b.png')))


def test_sixteen_bits_are_kept(tmp_path, decoder):
    label = np.array([[0, 300], [65535, 1]], np.uint16)
    for name in ('a.png', 'a.tif'):
        Image.fromarray(label).save(tmp_path / name)
        assert read_mask(tmp_path / name).tolist() == label.tolist()


def test_colours_and_alpha(tmp_path, decoder):
    rgba = np.random.default_rng(0).integers(0, 255, (8, 9, 4), dtype=np.uint8)
    for name in ('c.png', 'c.tif'):
        Image.fromarray(rgba).save(tmp_path / name)
        found = read_mask(tmp_path / name)
        assert found.shape == (8, 9, 3)
        assert np.array_equal(found, rgba[..., :3])


@pytest.mark.parametrize('name', ['t.png', 't.tif'])
@pytest.mark.parametrize('share', [0.02, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, decoder, name, share):
    path = write_label(tmp_path / name, random_label(3, size=(200, 200), cell=2))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(LabelReadError, match=rf'{name}.*truncated.*get this file again') as caught:
        read_mask(path)
    assert caught.value.code == 'unreadable'


@pytest.mark.parametrize('content', [b'', b'not an image at all', b'\x89PNG\r\n\x1a\n' + b'\0' * 40])
def test_garbage_is_an_error_that_names_it(tmp_path, decoder, content):
    (tmp_path / 'g.png').write_bytes(content)
    with pytest.raises(LabelReadError, match=r'g\.png'):
        read_mask(tmp_path / 'g.png')


def test_a_changed_byte_in_the_middle_is_noticed(tmp_path):
    pytest.importorskip('rasterio')
    path = write_label(tmp_path / 'c.png', random_label(4, size=(100, 100), cell=1))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(LabelReadError):
        read_mask(path)


def test_a_missing_file_says_what_to_check(tmp_path):
    with pytest.raises(LabelReadError, match=r'none\.png: does not exist\. Check the folder'):
        read_mask(tmp_path / 'none.png')


def test_whole_numbers_in_a_float_tiff_are_accepted_and_fractions_refused(tmp_path):
    Image.fromarray(np.array([[0, 1], [2, 3]], np.float32)).save(tmp_path / 'f.tif')
    assert read_mask(tmp_path / 'f.tif').tolist() == [[0, 1], [2, 3]]
    Image.fromarray(np.array([[0.5, 1]], np.float32)).save(tmp_path / 'g.tif')
    with pytest.raises(LabelReadError, match='fractions'):
        read_mask(tmp_path / 'g.tif')


def test_real_geotiff_and_masks_equal_pil():
    folder = shared_data_dir('spacenet_georef')
    mask = read_mask(folder / 'atlanta_buildings_mask.png')
    assert round(100 * float(mask.mean()), 2) == 4.18
    assert mask_size(folder / 'atlanta_pan_uint16.tif') == (900, 900)
    for path in sorted(shared_data_dir('dsb2018_nuclei', 'instances').glob('*.png'))[:3]:
        assert np.array_equal(read_mask(path), np.asarray(Image.open(path)))
