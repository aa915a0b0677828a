"""Shards that are whole or absent, a run that goes on, and a folder that is refused for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.data.outputs.store import OutputsError, OutputStore

IDENTITY = {'checkpoint': 'abc', 'seed': 0}


def manifest(**identity: Any) -> dict[str, Any]:
    return {'identity': {**IDENTITY, **identity}, 'num_images': 5, 'shard_size': 2, 'classes': ['a']}


def record(index: int) -> dict[str, np.ndarray]:
    return {'logits': np.full((index, 2), index, np.float32), 'image_id': np.array(f'{index}.png')}


def fill(store: OutputStore, shards: list[int]) -> None:
    for shard in shards:
        store.write(shard, [record(index) for index in store.images_of(shard)])


def test_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    store = OutputStore.create(tmp_path / 'o', manifest())
    assert store.num_shards == 3 and list(store.images_of(2)) == [4]
    fill(store, [0, 2])
    again = OutputStore.create(tmp_path / 'o', manifest())
    assert again.missing() == [1]
    with pytest.raises(OutputsError, match='incomplete: 1 of 3 shards missing'):
        list(again.records())
    fill(again, [1])
    read = list(OutputStore.open(tmp_path / 'o').records())
    assert [str(r['image_id']) for r in read] == [f'{i}.png' for i in range(5)]
    assert read[3]['logits'].tolist() == [[3, 3]] * 3 and read[0]['logits'].shape == (0, 2)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ('one', 'two'):
        fill(OutputStore.create(tmp_path / name, manifest()), [0])
    first, second = ((tmp_path / name / 'shard_00000.npz').read_bytes() for name in ('one', 'two'))
    assert first == second


def test_another_model_is_refused_and_named(tmp_path: Path) -> None:
    OutputStore.create(tmp_path / 'o', manifest())
    with pytest.raises(OutputsError, match=r'something else: checkpoint \(abc there, xyz now\).*--outputs'):
        OutputStore.create(tmp_path / 'o', manifest(checkpoint='xyz'))


def test_foreign_and_broken_folders(tmp_path: Path) -> None:
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'a.jpg').touch()
    with pytest.raises(OutputsError, match='not empty and holds no saved outputs'):
        OutputStore.create(tmp_path / 'photos', manifest())
    with pytest.raises(OutputsError, match=r'outputs\.json is missing'):
        OutputStore.open(tmp_path)
    store = OutputStore.create(tmp_path / 'o', manifest())
    (tmp_path / 'o' / 'outputs.json').write_text('{')
    with pytest.raises(OutputsError, match='cannot be read'):
        OutputStore.open(store.folder)
    (tmp_path / 'o' / 'outputs.json').write_text('{"format": 99}')
    with pytest.raises(OutputsError, match='format 99, expected 1'):
        OutputStore.open(store.folder)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    store = OutputStore.create(tmp_path, manifest())
    fill(store, [0, 1, 2])
    (tmp_path / 'shard_00001.npz').write_bytes(b'PK\x03\x04 cut short')
    with pytest.raises(OutputsError, match=r'shard_00001\.npz is damaged'):
        list(store.records())


def test_pickles_are_not_read(tmp_path: Path) -> None:
    store = OutputStore.create(tmp_path, manifest())
    fill(store, [1, 2])
    np.savez(tmp_path / 'shard_00000.npz', **{'0/x': np.array([{'a': 1}], dtype=object)})
    with pytest.raises(OutputsError, match='damaged'):
        list(store.records())


def test_no_image_and_a_wrong_number_of_records(tmp_path: Path) -> None:
    empty = OutputStore.create(tmp_path / 'e', {**manifest(), 'num_images': 0})
    with pytest.raises(OutputsError, match='no image'):
        list(empty.records())
    store = OutputStore.create(tmp_path / 'o', manifest())
    with pytest.raises(ValueError, match='shard 0 holds 2 images, but 1 records came'):
        store.write(0, [record(0)])
