"""Small objects for the tests of the bank."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imbdense.data.instance_bank import BankObject, InstanceBank

CLASSES = ('road', 'car', 'mast')


def image_object(number: int, klass: int = 1, score: float = 1.0, *, bands: int = 3, dtype: type = np.uint8,
                 masked: bool = True) -> BankObject:
    """Object ``number`` of image ``number // 3``; equal arguments give equal objects."""
    rng = np.random.default_rng(number)
    height, width = (int(side) for side in rng.integers(3, 12, 2))
    mask = rng.random((height, width)) < 0.7
    mask[0, 0] = True
    values = rng.integers(0, 250, (height, width, bands)).astype(dtype)
    x, y = (int(place) for place in rng.integers(0, 50, 2))
    return BankObject(values, klass, f'image_{number // 3:03d}.png', (x, y, x + width, y + height), score,
                      mask=mask if masked else None, window=(y, x))


def point_object(number: int, klass: int = 1) -> BankObject:
    """A cloud of 4 features."""
    rng = np.random.default_rng(number)
    box = (float(number), 2.0, 0.5, 4.0, 2.0, 1.5, 0.3)
    return BankObject(rng.random((5 + number, 4), np.float32), klass, f'frame_{number}', box, 0.5, 'pseudo')


def same(one: BankObject, other: BankObject) -> bool:
    """Whether two objects are equal in everything."""
    return one.identity() == other.identity()


def write_round(folder: str | Path, seconds: float = 0.0) -> list[int]:
    """Write 80 objects in 8 shards, ``seconds`` each; return the shards that were not there yet."""
    writer = InstanceBank.create(folder, CLASSES).start_round({'what': 'test'})
    made = [shard for shard in range(8) if not writer.has(f'shard_{shard}')]

    def objects(shard: int) -> Iterator[BankObject]:
        for number in range(10 * shard, 10 * shard + 10):
            time.sleep(seconds)
            yield image_object(number, klass=shard % 3)

    for shard in made:
        writer.write(f'shard_{shard}', objects(shard))
    writer.finish()
    return made
