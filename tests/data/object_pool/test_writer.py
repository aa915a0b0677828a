"""Pools written by several processes, killed ones, and what goes wrong."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist

from imbdense.data.object_pool import PoolError, PoolImage, PoolWriter, open_pool
from imbdense.data.object_pool.shard import Shard, _write
from tests.data.object_pool.pools import CLASSES, COUNTS, contents, image, names, write, writer
from tests.helpers.two_ranks import run_two_ranks


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_round_trip(tmp_path: Path, dtype: str) -> None:
    pool = open_pool(write(tmp_path / 'pool', dtype=dtype, normalize=False))
    assert list(pool.image_ids) == names(7) and list(pool.classes) == list(CLASSES)
    assert pool.obj_image.tolist() == np.repeat(np.arange(7), COUNTS).tolist()
    assert pool.starts.tolist() == [0, *np.cumsum(COUNTS)]
    for index in range(7):
        rows, own = slice(pool.starts[index], pool.starts[index + 1]), image(index)
        assert pool.obj_class[rows].tolist() == own.klass.tolist()
        np.testing.assert_array_equal(pool.obj_score[rows], own.score.astype(np.float32))
        np.testing.assert_array_equal(pool.obj_box[rows], own.box.astype(np.float32))
        np.testing.assert_array_equal(pool.obj_area[rows], own.area.astype(np.float32))
        np.testing.assert_array_equal(pool.obj_feat[rows], own.feat.astype(np.float32).astype(dtype))
        np.testing.assert_array_equal(pool.img_feat[index], own.img_feat.astype(dtype))
        assert pool.img_cost[index] == np.float32(own.cost) and pool.img_group[index] == own.group
    assert pool.usable is None and isinstance(pool.obj_feat, np.memmap) and len(pool.fingerprint) == 32
    assert pool.rows_of_class(CLASSES.index('mast')).size == 0
    assert not list(tmp_path.glob('*.part')) and not list(tmp_path.glob('.*'))


def test_features_are_normalised_and_zero_rows_stay(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', 1) as out:
        own = image(0)
        own.feat[1] = 0
        out.add(0, own)
    pool = open_pool(out.finish())
    norms = np.linalg.norm(pool.obj_feat.astype(float), axis=1)
    np.testing.assert_allclose(norms, [1, 0, 1], atol=1e-3)
    assert pool.usable.tolist() == [True, False, True]


def test_principal_axes(tmp_path: Path) -> None:
    """As numpy's SVD of all rows; distances of full rank are kept."""
    pool = open_pool(write(tmp_path / 'pool', 12, pca_dim=3, normalize=False, dtype='float32'))
    rows = np.concatenate([image(index).feat for index in range(12)]).astype(np.float32).astype(float)
    centred = rows - rows.mean(0)
    axes = np.linalg.svd(centred)[2][:3]
    axes *= np.sign(axes[np.arange(3), np.abs(axes).argmax(1)])[:, None]
    np.testing.assert_allclose(pool.obj_feat, centred @ axes.T, atol=1e-4)
    assert pool.img_feat.shape == (12, 3)


KILLED = """
import os, signal, sys
from pathlib import Path
from imbdense.data.object_pool import records, shard
from tests.data.object_pool.pools import image, writer
out = writer(Path(sys.argv[1]), 30)
real = shard.pack
def pack(index, content):
    data = real(index, content)
    if index == int(sys.argv[2]):
        log = out._own._open()[0]
        log.write(data[: len(data) // 2])
        log.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return data
shard.pack = pack
for index in out.missing():
    out.add(index, image(index))
"""


@pytest.mark.parametrize('where', [0, 17, 29])
def test_killed_in_the_middle_of_a_record(tmp_path: Path, where: int) -> None:
    """Every image before is kept, half a record is cut off, and the files are those of an uninterrupted run."""
    code = subprocess.run([sys.executable, '-c', KILLED, str(tmp_path / 'pool'), str(where)], check=False,
                          timeout=120, env=dict(os.environ)).returncode  # fmt: skip
    assert code == -signal.SIGKILL and not (tmp_path / 'pool').exists()
    again = writer(tmp_path / 'pool', 30)
    assert again.missing() == list(range(where, 30))
    with again:
        for index in again.missing():
            again.add(index, image(index))
    assert contents(again.finish()) == contents(write(tmp_path / 'straight', 30))


def test_killed_while_joining(tmp_path: Path) -> None:
    """Before the rename: the half-written pool is removed and made again. After it: the pool stands, the shards go."""
    expected = contents(write(tmp_path / 'straight', 5))
    with writer(tmp_path / 'pool', 5) as out:
        for index in out.missing():
            out.add(index, image(index))
    half = tmp_path / '.pool.tmp-killed'
    half.mkdir()
    (half / 'obj_feat.npy').write_bytes(b'half')
    work = tmp_path / 'pool.part'
    kept = shutil.copytree(work, tmp_path / 'kept')
    assert contents(writer(tmp_path / 'pool', 5).finish()) == expected and not half.exists()
    shutil.copytree(kept, work)
    with pytest.raises(PoolError, match='is complete'):
        writer(tmp_path / 'pool', 5)
    assert not work.exists() and contents(tmp_path / 'pool') == expected


def on_rank(folder: Path) -> int:
    rank = dist.get_rank()
    with writer(folder, 15, rank=rank, world=2) as out:
        mine = out.missing()
        for index in mine:
            out.add(index, image(index))
    dist.barrier()
    if rank == 0:
        out.finish()
    return len(mine)


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    assert run_two_ranks(on_rank, tmp_path / 'two') == [8, 7]
    assert contents(tmp_path / 'two') == contents(write(tmp_path / 'one', 15))


def test_another_number_of_processes_goes_on(tmp_path: Path) -> None:
    for rank in range(3):
        with writer(tmp_path / 'pool', 10, rank=rank, world=3) as out:
            for index in out.missing()[:2]:
                out.add(index, image(index))
    one = writer(tmp_path / 'pool', 10)
    assert one.missing() == [6, 7, 8, 9]
    with pytest.raises(PoolError, match=r'4 of 10 images are missing, the first is scene/006\.png'):
        one.finish()
    with one:
        for index in one.missing():
            one.add(index, image(index))
    assert contents(one.finish()) == contents(write(tmp_path / 'straight', 10))


def test_failed_images_are_left_out_and_named(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', 3) as out:
        out.add(0, image(0))
        out.fail(1, 'OSError: no image')
        out.add(2, image(2))
    pool = open_pool(out.finish())
    assert list(pool.image_ids) == ['scene/000.png', 'scene/002.png'] and pool.obj_image.tolist() == [0, 0, 0, 1, 1]
    assert '"scene/001.png": "OSError: no image"' in (tmp_path / 'pool' / 'meta.json').read_text()


def test_no_object_at_all(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', 2) as out:
        for index in range(2):
            out.add(index, image(index, count=0))
    pool = open_pool(out.finish())
    assert pool.num_objects == 0 and pool.obj_feat.shape == (0, 6) and pool.img_feat.shape == (2, 4)


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"image ids \['a'\] come more than once"):
        PoolWriter(tmp_path / 'pool', ['a', 'b', 'a'], CLASSES, source='gt')
    out = writer(tmp_path / 'pool', 3)
    bad = image(0)
    with pytest.raises(ValueError, match=r'scene/000\.png: class indices must lie in \[-1, 3\)'):
        out.add(0, PoolImage(np.full(3, 3), bad.score, bad.box, bad.area, bad.feat))
    with pytest.raises(ValueError, match='image 0: box must have the shape'):
        out.add(0, PoolImage(bad.klass, bad.score, bad.box[:2], bad.area, bad.feat))
    with pytest.raises(ValueError, match='score must be finite'):
        out.add(0, PoolImage(bad.klass, bad.score * np.nan, bad.box, bad.area, bad.feat))
    out.add(0, bad)
    with pytest.raises(ValueError, match='holds image 0 already'):
        out.add(0, bad)
    out.close()
    with pytest.raises(PoolError, match=r'begun with something else \(dtype: float16 there, float32 now\)'):
        writer(tmp_path / 'pool', 3, dtype='float32')
    again = writer(tmp_path / 'pool', 3)
    again.add(1, image(1, dim=5))
    again.add(2, image(2))
    with pytest.raises(PoolError, match='feature lengths'):
        again.finish()
    write(tmp_path / 'done', 3)
    with pytest.raises(PoolError, match='is complete'):
        writer(tmp_path / 'done', 3)


def test_damaged_shards_are_named(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', 5) as out:
        for index in range(4):
            out.add(index, image(index))
    log = tmp_path / 'pool.part' / 'shard_0000' / 'images.bin'
    data = bytearray(log.read_bytes())
    log.write_bytes(data[:-7])
    with pytest.raises(PoolError, match=r'images\.bin lacks 1 images that done\.bitmap names'):
        writer(tmp_path / 'pool', 5)
    data[70] ^= 1
    log.write_bytes(data)
    again = writer(tmp_path / 'pool', 5)
    again.add(4, image(4))
    with pytest.raises(PoolError, match=r'images\.bin: image 0 is damaged'):
        again.finish()


def test_a_lost_bitmap_costs_nothing(tmp_path: Path) -> None:
    """Records are whole by their CRC: the bits are made again."""
    folder = tmp_path / 'shard'
    shard = Shard(folder, 5)
    for index in (3, 1):
        shard.append(index, image(index))
    shard.close()
    (folder / 'done.bitmap').unlink()
    assert Shard(folder, 5).done.tolist() == [False, True, False, True, False]


FULL = """
import resource, sys
from pathlib import Path
from imbdense.utils.files import FileWriteError
from tests.data.object_pool.pools import image, writer
out = writer(Path(sys.argv[1]), 30)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
try:
    with out:
        for index in out.missing():
            out.add(index, image(index))
except FileWriteError as error:
    print(error)
"""


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    """What was refused is not tried again when the files are closed; with space the next run goes on."""
    said = subprocess.run([sys.executable, '-c', FULL, str(tmp_path / 'pool')], check=True, timeout=120, text=True,
                          capture_output=True, env=dict(os.environ))  # fmt: skip
    assert 'pool.part/shard_0000: File too large. Free some space' in said.stdout and not said.stderr
    again = writer(tmp_path / 'pool', 30)
    assert 0 < len(again.missing()) < 30
    with again:
        for index in again.missing():
            again.add(index, image(index))
    assert contents(again.finish()) == contents(write(tmp_path / 'straight', 30))


def test_a_write_that_takes_a_part_goes_on(tmp_path: Path) -> None:
    class Slow(io.FileIO):
        def write(self, data: Any) -> int:  # type: ignore[override]
            return super().write(bytes(data)[:3])

    with Slow(tmp_path / 'file', 'w') as handle:
        _write(handle, 2, b'abcdefgh')
    assert (tmp_path / 'file').read_bytes() == b'\0\0abcdefgh'


def test_classes_are_unique(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"classes \['car', 'car'\] must be unique"):
        PoolWriter(tmp_path / 'pool', ['a'], ('car', 'car'), source='gt')
    assert not list(tmp_path.iterdir())


def test_failed_images_are_tried_again(tmp_path: Path) -> None:
    """A disk that was away for a while: what failed is made by the next run, in whichever shard."""
    with writer(tmp_path / 'pool', 5) as out:
        for index in (0, 1, 3):
            out.put(index, 'OSError: gone' if index else image(0))
    for rank in (0, 1):
        again = writer(tmp_path / 'pool', 5, rank=rank, world=2)
        assert again.missing() == ([2, 4], [1, 3])[rank]
        with again:
            for index in again.missing():
                again.add(index, image(index))
    with pytest.raises(ValueError, match='holds image 1 already'):
        again.add(1, image(1))
    assert contents(again.finish()) == contents(write(tmp_path / 'straight', 5))


def test_nothing_but_failures_is_no_pool(tmp_path: Path) -> None:
    with writer(tmp_path / 'pool', 2) as out:
        for index in out.missing():
            out.fail(index, 'OSError: gone')
    with pytest.raises(PoolError, match='no image could be used, the first because of: OSError: gone'):
        out.finish()
    assert not (tmp_path / 'pool').exists() and writer(tmp_path / 'pool', 2).missing() == [0, 1]


def test_a_difference_is_named_by_itself(tmp_path: Path) -> None:
    """Not the whole of what decides the result, twice."""
    writer(tmp_path / 'pool', identity={'layer': None, 'amp': False})
    with pytest.raises(PoolError, match=r'something else \(layer: None there, backbone now\)'):
        writer(tmp_path / 'pool', identity={'layer': 'backbone', 'amp': False})
