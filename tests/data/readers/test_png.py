"""The compiled PNG decoder: equal to PIL for every filter, and silent about nothing that it does not know."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('numba')
pytest.importorskip('deflate')

from imbdense.data.readers.png import SIGNATURE, decode_png


def _chunk(kind, content):
    return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))


def _file(filters, rows, *, pieces=1, colour=0, interlace=0, ending=True):
    """A PNG whose row y carries ``filters[y]`` and the filtered bytes ``rows[y]``."""
    height, width = rows.shape
    header = struct.pack('>IIBBBBB', width, height, 8, colour, 0, 0, interlace)
    stream = zlib.compress(np.concatenate([np.asarray(filters, np.uint8)[:, None], rows], axis=1).tobytes())
    step = -(-len(stream) // pieces)
    data = b''.join(_chunk(b'IDAT', stream[i : i + step]) for i in range(0, len(stream), step))
    palette = _chunk(b'PLTE', bytes(range(256)) * 3) if colour == 3 else b''
    return SIGNATURE + _chunk(b'IHDR', header) + palette + data + (_chunk(b'IEND', b'') if ending else b'')


def _pil(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize('kind', [0, 1, 2, 3, 4, None])
@pytest.mark.parametrize('levels', [3, 256])
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 1), (23, 31)])
def test_every_filter_equals_pil(kind, levels, size):
    rng = np.random.default_rng(size[0] * 256 + levels)
    rows = rng.integers(0, levels, size).astype(np.uint8)
    filters = rng.integers(0, 5, size[0]) if kind is None else np.full(size[0], kind)
    content = _file(filters, rows)
    assert np.array_equal(decode_png(content), _pil(content))


def test_filters_of_flat_rows_equal_pil():
    # long runs take the short ways of the Paeth filter
    label = np.kron(np.random.default_rng(0).integers(0, 6, (8, 8)), np.ones((9, 7))).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(label).save(stream, 'PNG')
    assert np.array_equal(decode_png(stream.getvalue()), label)


def test_pixels_in_several_chunks_and_palette_indices():
    rows = np.random.default_rng(1).integers(0, 256, (40, 50)).astype(np.uint8)
    content = _file(np.zeros(40), rows, pieces=5, colour=3)
    assert np.array_equal(decode_png(content), rows)


def test_other_and_faulty_files_are_handed_back():
    rows = np.random.default_rng(2).integers(0, 256, (20, 20)).astype(np.uint8)
    good = _file(np.zeros(20), rows)
    assert decode_png(good) is not None
    for share in (0.01, 0.3, 0.6, 0.95):
        assert decode_png(good[: int(share * len(good))]) is None, share
    assert decode_png(_file(np.zeros(20), rows, ending=False)) is None
    assert decode_png(_file(np.full(20, 5), rows)) is None, 'unknown filter'
    assert decode_png(_file(np.zeros(20), rows, interlace=1)) is None
    assert decode_png(_file(np.zeros(20), rows, colour=2)) is None, 'colours'
    taller = bytearray(good)
    taller[23] += 1
    assert decode_png(bytes(taller)) is None, 'more rows promised than stored'
    shorter = bytearray(good)
    shorter[23] -= 1
    assert decode_png(bytes(shorter)) is None, 'fewer rows promised than stored'
    for position in range(60, len(good) - 20, 37):
        changed = bytearray(good)
        changed[position] ^= 0x55
        assert decode_png(bytes(changed)) is None, position
    assert decode_png(b'') is None
    assert decode_png(SIGNATURE + b'\0' * 40) is None
