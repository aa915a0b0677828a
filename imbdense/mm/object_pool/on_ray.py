"""Run a model over the images of a pool with Ray Data: actors on any number of machines, one writer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from imbdense.core.checks import check_integer
from imbdense.data.object_pool import PoolError, PoolImage, PoolWriter
from imbdense.data.object_pool.records import pack, read_header, unpack
from imbdense.mm.object_pool.build import ObjectExtractor, Progress

BATCH_IMAGES = 16
"""Images of one call of an actor; so many records are in its memory."""
BLOCKS_PER_ACTOR = 64
"""The list of images is cut into so many blocks per actor, so that a slow actor holds up little."""


def build_pool_on_ray(
    writer: PoolWriter,
    make: Callable[[], ObjectExtractor],
    *,
    actors: int,
    use_gpu: bool = True,
    progress: Progress | None = None,
) -> None:
    """Add the images that ``writer`` still misses, by ``map_batches`` of Ray Data over the function that
    :func:`~imbdense.mm.object_pool.build.build_pool` calls.

    Each actor makes its own extractor and turns numbers of images into the records of the shard, checksum included.
    They come to this process, the only one that writes, in any order; finishing sorts them, so the pool equals the one
    made without Ray. A run that ends early goes on with the next call: finished images are on the disk. Ray starts an
    actor that died anew and gives its images to another.

    Uses the Ray that is initialised; else connects to ``RAY_ADDRESS``, else starts Ray on this machine. Actors work in
    the current folder of this process, which has to exist on every machine with the images, the config and the weights
    at the same paths (a shared file system).

    Args:
        make: builds the extractor in an actor; has to be picklable.
        actors: >= 1, with one CPU each.
        use_gpu: let the actors share the GPUs of the cluster, if it has any.
        progress: called with (images done, images to do).

    Raises:
        ImportError: Ray Data is not installed. PoolError: a record was damaged on its way. FileWriteError: the disk.
        ray.exceptions.RayError: an actor failed; the message holds its traceback.
    """
    check_integer('actors', actors, low=1, owner='build_pool_on_ray')
    import ray.data

    todo = writer.missing()
    if not todo:
        return
    started = not ray.is_initialized()
    if started:
        ray.init()
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        blocks = min(math.ceil(len(todo) / BATCH_IMAGES), BLOCKS_PER_ACTOR * actors)
        records = ray.data.from_numpy(np.array_split(np.array(todo, np.int64), blocks)).map_batches(
            PoolActor, fn_constructor_args=(make, os.getcwd()), batch_size=BATCH_IMAGES, batch_format='numpy',
            compute=ray.data.ActorPoolStrategy(size=actors), num_cpus=1, num_gpus=_gpus_each(ray, actors, use_gpu))
        with writer:
            for done, row in enumerate(records.iter_rows(), 1):
                writer.put(*_content(row['record']))
                if progress is not None:
                    progress(done, len(todo))
    finally:
        if started:
            ray.shutdown()


class PoolActor:
    """One process of Ray: a model, called with numbers of images.

    Args:
        make: builds the extractor. folder: to work in, so that relative paths mean what they mean in the first process.
    """

    def __init__(self, make: Callable[[], ObjectExtractor], folder: str) -> None:
        os.chdir(folder)
        self._extract = make()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Records of the images ``batch['data']``."""
        records: list[bytes] = []
        self._extract(batch['data'].tolist(), lambda index, content: records.append(pack(index, content)))
        return {'record': records}


def _content(record: bytes) -> tuple[int, PoolImage | str]:
    """(number of the image, what it gives) of a record."""
    header = read_header(record)
    if header is None:
        raise PoolError('a record that came from an actor of Ray is damaged. Run the same command again.')
    return header.image, unpack(record, 'a record that came from an actor of Ray')


def _gpus_each(ray: Any, actors: int, use_gpu: bool) -> float:
    """The share of a GPU of each actor, such that all find a place."""
    gpus = int(ray.cluster_resources().get('GPU', 0)) if use_gpu else 0
    return 0.0 if gpus == 0 else 1 / math.ceil(actors / gpus)
