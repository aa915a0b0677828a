"""Write a pool image by image, with any number of processes, so that a run can be killed at any time."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from imbdense.core.checks import check_choice, check_integer
from imbdense.data.object_pool.layout import FEATURE_DTYPES, META, PoolError, read_json
from imbdense.data.object_pool.merge import merge_shards
from imbdense.data.object_pool.records import PoolImage
from imbdense.data.object_pool.shard import Shard, open_shards
from imbdense.utils.files import atomic_write_json

PLAN = 'plan.json'


class PoolWriter:
    """A pool that is being made, in the folder ``NAME.part`` beside where it will be.

    Each of ``world`` processes adds the images that :meth:`missing` gives it, to a shard of its own; then one process
    calls :meth:`finish` (after a barrier), which joins the shards in the order of the images, writes the pool under a
    temporary name and renames it. The files do not depend on how often the run was killed, nor on the number of
    processes, which may change in between. No more than one image and a block of features is in memory. Not collective.

    Features go into the shards as float32. :meth:`finish` reduces them to ``pca_dim`` principal axes of all objects
    (without whitening), then divides them by their L2 norm, then rounds them to ``dtype``; those of images alike, with
    their own axes.

    Args:
        folder: of the pool.
        image_ids: M unique strings, in the order that breaks ties.
        classes: C names.
        source: 'gt', 'pred', 'coco-json', or what made the objects.
        config_hash: of the config that made the features.
        identity: whatever else decides the result (weights, thresholds), JSON types: a run with another identity is
            refused instead of being mixed into this one.
        dtype: 'float16' or 'float32'. pca_dim: ``None`` = as they are. normalize: divide by the L2 norm.
        with_costs, with_groups: write ``img_cost.npy``, ``img_group.npy``.
        rank, world: this process and their number.

    Raises:
        PoolError: the pool is complete, or was begun with something else (the differences are named).
        ValueError: an argument out of range; image_ids or classes that are not unique.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        image_ids: Sequence[str],
        classes: Sequence[str],
        *,
        source: str,
        config_hash: str = '',
        identity: Mapping[str, Any] | None = None,
        dtype: str = 'float16',
        pca_dim: int | None = None,
        normalize: bool = True,
        with_costs: bool = False,
        with_groups: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        check_choice('dtype', dtype, FEATURE_DTYPES, owner='PoolWriter')
        if pca_dim is not None:
            check_integer('pca_dim', pca_dim, low=1, owner='PoolWriter')
        self.folder = Path(folder)
        self.image_ids, self.rank, self.world = list(image_ids), rank, world
        if len(set(classes)) < len(classes):
            raise ValueError(f'PoolWriter: the classes {list(classes)} must be unique.')
        twice = [name for name, count in Counter(self.image_ids).items() if count > 1]
        if twice:
            raise ValueError(f'PoolWriter: the image ids {twice[:3]} come more than once. Give each image its own '
                             f'name, for example its path inside the image folder (data_prefix).')
        self.meta = {
            'classes': list(classes), 'source': source, 'created_by_config_hash': config_hash,
            'made_from': dict(identity or {}), 'dtype': dtype, 'pca_dim': pca_dim, 'normalized': normalize,
        }  # fmt: skip
        self._arrays = (with_costs, with_groups)
        self.work = self.folder.with_name(f'{self.folder.name}.part')
        if (self.folder / META).is_file():
            shutil.rmtree(self.work, ignore_errors=True)  # killed between the rename and this
            raise PoolError(f'{self.folder} is complete. Open it, remove it, or choose another folder.')
        if self.folder.exists():
            raise PoolError(f'{self.folder} exists and is no object pool. Choose another folder.')
        self._claim()
        self._others = open_shards(self.work, len(self.image_ids))
        name = f'shard_{rank:04d}'
        self._own = self._others.pop(name, None) or Shard(self.work / name, len(self.image_ids))

    def missing(self) -> list[int]:
        """The images that this process has to add: those of its share (i, i + world, ...) that no shard holds, and
        those that failed in an earlier run."""
        done = self._own.done.copy()
        for shard in self._others.values():
            done |= shard.done
        return [index for index in range(self.rank, len(self.image_ids), self.world) if not done[index]]

    def add(self, index: int, content: PoolImage) -> None:
        """Add the objects of image ``index``; they are kept from now on, whatever happens to the process.

        Raises:
            ValueError: arrays that do not fit together; class or box out of range. FileWriteError: the disk.
        """
        classes = len(self.meta['classes'])
        klass = np.asarray(content.klass)
        if len(klass) and not -1 <= klass.min() <= klass.max() < classes:
            raise ValueError(f'{self.image_ids[index]}: class indices must lie in [-1, {classes}), but are '
                             f'{np.unique(klass).tolist()}.')
        for name in ('score', 'box', 'area'):
            if not np.isfinite(np.asarray(getattr(content, name), np.float64)).all():
                raise ValueError(f'{self.image_ids[index]}: {name} must be finite.')
        self._own.append(index, content)

    def fail(self, index: int, reason: str) -> None:
        """Record that image ``index`` cannot be used: it is left out of the pool, and named with the reason."""
        self._own.append(index, reason)

    def put(self, index: int, content: PoolImage | str) -> None:
        """:meth:`add` an image, or :meth:`fail` with a reason."""
        if isinstance(content, str):
            self.fail(index, content)
        else:
            self.add(index, content)

    def close(self) -> None:
        """Commit what was added; the writer can go on afterwards."""
        self._own.close()

    def finish(self) -> Path:
        """Join all shards into the pool, which then becomes visible, and remove them; by one process, when all are
        closed.

        Raises:
            PoolError: images are missing, a record is damaged, or feature lengths differ. FileWriteError: the disk.
        """
        self.close()
        shards = open_shards(self.work, len(self.image_ids))
        merge_shards(self.folder, self.image_ids, list(shards.values()), self.meta, *self._arrays)
        shutil.rmtree(self.work, ignore_errors=True)
        return self.folder

    def __enter__(self) -> PoolWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def _claim(self) -> None:
        """Write what the pool is made from, or see that the unfinished one there is made from the same."""
        wanted = json.loads(json.dumps({**self.meta, 'arrays': self._arrays, 'image_ids': self.image_ids}))
        path = self.work / PLAN
        if not path.is_file():
            atomic_write_json(path, wanted, indent=None)
            return
        present, wanted = _flat(read_json(path)), _flat(wanted)
        other = [key for key in sorted({*present, *wanted}) if present.get(key) != wanted.get(key)]
        if other:
            words = '; '.join(f'{key}: {_short(present.get(key))} there, {_short(wanted.get(key))} now'
                              for key in other)
            raise PoolError(f'{self.work} was begun with something else ({words}). Remove it to begin anew, or choose '
                            f'another folder.')


def _flat(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with what the pool is made from beside all else, so that a difference is named by itself."""
    return {**plan, **plan.get('made_from', {}), 'made_from': None}


def _short(value: Any) -> str:
    """A value as a message can show it."""
    text = f'{len(value)} entries' if isinstance(value, list) and len(value) > 5 else str(value)
    return text if len(text) < 300 else f'{text[:300]}...'
