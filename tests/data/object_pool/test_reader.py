"""Every damage of a pool is named by its file; unusable features are found once."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.data.object_pool import PoolError, inspection, open_pool
from tests.data.object_pool.pools import contents, image, write, writer

Change = Callable[[Path], None]


def array(name: str, change: Callable[[Any], Any]) -> Change:
    """A change of one array."""

    def apply(folder: Path) -> None:
        np.save(folder / f'{name}.npy', change(np.load(folder / f'{name}.npy')))

    return apply


def cut(name: str, by: int = 5) -> Change:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-by])

    return apply


def described(**changes: Any) -> Change:
    def apply(folder: Path) -> None:
        meta = json.loads((folder / 'meta.json').read_text())
        (folder / 'meta.json').write_text(json.dumps({**meta, **changes}))

    return apply


def changed(values: Any, row: int, value: Any) -> Any:
    values[row] = value
    return values


NAMES = ('obj_image', 'obj_class', 'obj_score', 'obj_box', 'obj_area', 'obj_feat', 'img_feat', 'img_cost', 'img_group')
DAMAGES: dict[str, tuple[Change, str]] = {
    **{f'truncated {name}': (cut(f'{name}.npy'), rf'{name}\.npy is \d+ bytes long, expected \d+') for name in NAMES},
    **{f'one row less of {name}': (array(name, lambda a: a[:-1]), f'{name} must have the shape') for name in NAMES[1:]},
    'no header': (cut('obj_box.npy', 10_000), r'obj_box\.npy is no array of NumPy'),
    'missing': (lambda folder: (folder / 'obj_area.npy').unlink(), r'obj_area\.npy is missing'),
    'other type': (array('obj_class', lambda a: a.astype(np.int64)), r'obj_class\.npy holds int64, expected int32'),
    'other feature type': (described(dtype='float32'), r'obj_feat\.npy holds float16, expected float32'),
    'other width': (described(feature_dim=7), r'obj_feat\.npy has rows of shape \(6,\), but meta\.json says 7'),
    'wrong version': (described(version=99), r'meta\.json has the version 99, expected 1'),
    'wrong dtype': (described(dtype='int8'), r"meta\.json: dtype must be one of \['float16', 'float32'\]"),
    'classes': (described(classes='road'), r'meta\.json: classes must be a list'),
    'meta': (cut('meta.json', 30), r'meta\.json cannot be read'),
    'no meta': (lambda folder: (folder / 'meta.json').unlink(), r'meta\.json is missing'),
    'ids': (cut('image_ids.json', 30), r'image_ids\.json cannot be read'),
    'ids twice': (lambda folder: (folder / 'image_ids.json').write_text(json.dumps(['a'] * 7)), "'a' comes more than"),
    'unsorted': (array('obj_image', lambda a: a[::-1].copy()), 'obj_image must be ascending, but falls after row 1'),
    'image out of range': (array('obj_image', lambda a: a + 1), r'obj_image must lie in \[0, 7\), but row 10 holds 7'),
    'class out of range': (array('obj_class', lambda a: changed(a, 4, 3)), r'obj_class must lie in .* row 4 holds 3'),
    'score': (array('obj_score', lambda a: changed(a, 2, np.nan)), 'obj_score must be finite, but row 2'),
    'box': (array('obj_box', lambda a: changed(a, 2, np.inf)), 'obj_box must be finite, but row 2'),
    'cost': (array('img_cost', lambda a: changed(a, 2, 0)), 'img_cost must be finite and > 0'),
    'group': (array('img_group', lambda a: changed(a, 2, -1)), r'img_group must lie in \[0,'),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_damage_is_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / 'pool')
    open_pool(folder)
    change, message = DAMAGES[name]
    change(folder)
    with pytest.raises(PoolError, match=message):
        open_pool(folder)


def test_unusable_rows_are_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with writer(tmp_path / 'pool', 1, normalize=False) as out:
        own = image(0, count=9)
        own.feat[2, 3], own.feat[5, 0], own.feat[7] = np.nan, np.inf, 0
        out.add(0, own)
    folder = out.finish()
    with caplog.at_level(logging.WARNING):
        pool = open_pool(folder)
    assert '3 of 9 objects are not usable (2 not finite, 1 all zero)' in caplog.text
    assert pool.usable_rows.tolist() == [0, 1, 3, 4, 6, 8]


def test_opening_again_reads_no_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / 'pool')
    first = open_pool(folder)
    before = contents(folder)

    def fail(*arguments: Any) -> Any:
        raise RuntimeError('read again')

    with monkeypatch.context() as patch:
        patch.setattr(inspection, '_file_digest', fail)
        assert open_pool(folder).fingerprint == first.fingerprint
    assert contents(folder) == before
    os.utime(folder / 'obj_feat.npy', (0, 0))  # another time: look again, and find the same
    assert open_pool(folder).fingerprint == first.fingerprint
    data = bytearray((folder / 'obj_feat.npy').read_bytes())
    data[-1] ^= 1
    (folder / 'obj_feat.npy').write_bytes(data)
    assert open_pool(folder).fingerprint != first.fingerprint


def test_read_only_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / 'pool')

    def refuse(*arguments: Any) -> None:
        raise inspection.FileWriteError('read-only file system')

    monkeypatch.setattr(inspection, 'atomic_write_json', refuse)
    assert open_pool(folder).fingerprint == open_pool(folder).fingerprint
    assert 'each opening will read it whole' in caplog.text and not (folder / 'checked.json').exists()


def test_blocks_of_rows_give_the_same(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float16)
    features[[3, 40]], features[17, 1] = 0, np.nan
    whole, parts = inspection.usable_rows(features), inspection.usable_rows(features, block=24)
    assert np.array_equal(whole[0], parts[0]) and whole[1] == parts[1] == (1, 2)
