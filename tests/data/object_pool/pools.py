"""Small pools on disk for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.object_pool import PoolImage, PoolWriter

CLASSES = ('road', 'car', 'mast')
COUNTS = (3, 0, 2, 1, 4, 0, 2)


def image(index: int, dim: int = 6, count: int | None = None) -> PoolImage:
    """The objects of image ``index``: COUNTS of them, none of class mast."""
    rng = np.random.default_rng(index)
    count = COUNTS[index % len(COUNTS)] if count is None else count
    corner = rng.uniform(0, 50, (count, 2))
    return PoolImage(
        klass=rng.integers(-1, 2, count), score=rng.uniform(0.3, 1, count),
        box=np.concatenate([corner, corner + rng.uniform(2, 20, (count, 2))], 1), area=rng.uniform(4, 100, count),
        feat=rng.normal(3, 1, (count, dim)), img_feat=rng.normal(size=4).astype(np.float32),
        cost=float(rng.uniform(1, 5)), group=index // 3,
    )  # fmt: skip


def names(count: int) -> list[str]:
    return [f'scene/{index:03d}.png' for index in range(count)]


def writer(folder: Path, count: int = 7, **changes: Any) -> PoolWriter:
    options: dict[str, Any] = {'source': 'gt', 'with_costs': True, 'with_groups': True, **changes}
    return PoolWriter(folder, names(count), CLASSES, **options)


def write(folder: Path, count: int = 7, dim: int = 6, **changes: Any) -> Path:
    """A complete pool of ``count`` images."""
    with writer(folder, count, **changes) as out:
        for index in out.missing():
            out.add(index, image(index, dim))
    return out.finish()


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a pool but what an opening leaves there."""
    own = (path for path in folder.iterdir() if path.name not in ('checked.json', 'usable.npy'))
    return {path.name: path.read_bytes() for path in own}
