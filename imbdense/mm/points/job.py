"""A prediction of clouds from start to finish: points sorted on disk, votes of blocks, files with every old field."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.job_settings import keep_settings
from imbdense.data.points import PointCloud, iter_points
from imbdense.data.points.las_write import check_copy
from imbdense.data.points.tiles import BlockLattice, PointBuckets, VoteStore, make_buckets
from imbdense.data.points.tiles.lattice import Block
from imbdense.data.points.write import PointWriter
from imbdense.mm.points.network import PointNetwork, Points
from imbdense.mm.raster.network import one_thread_per_tile

Progress = Callable[[int, int], None]
CHUNK = 1_000_000
LAS = ('.las', '.laz')
PREDICTED, CONFIDENCE, CLASSIFICATION = 'predicted', 'confidence', 'classification'
FIELDS = (PREDICTED, CLASSIFICATION)
ADDED = (PREDICTED, CONFIDENCE)


@dataclass(frozen=True)
class PointJob:
    """Everything needed to compute any block and to write the files.

    Attributes:
        network, lattice: what is computed, where. paths: input files. folder: of what is finished.
        buckets: their points. store: votes. blocks: all that have something to vote on, in order.
    """

    network: PointNetwork
    lattice: BlockLattice
    paths: tuple[Path, ...]
    folder: Path
    buckets: PointBuckets
    store: VoteStore
    blocks: tuple[Block, ...]


def start_job(
    network: PointNetwork, paths: Sequence[Path], lattice: BlockLattice, folder: Path, progress: Progress | None = None
) -> PointJob:
    """Open or go on with what is in ``folder``: check the files, sort their points.

    Raises:
        OtherJob: the folder holds a job with other inputs, weights or settings.
        PointReadError: a file cannot be read, is empty, or lacks what the model needs.
    """
    settings = {
        **network.facts, 'block': lattice.block, 'overlap': lattice.overlap, 'halo': lattice.halo,
        'inputs': [_file_facts(path) for path in paths],
    }  # fmt: skip
    keep_settings(folder, settings, 'prediction')
    votes = folder / 'votes'
    try:
        buckets = make_buckets(folder, paths, lattice, network.attributes, network.wanted, progress)
    except Exception:
        if not votes.exists():  # no block is computed yet, and a mended file would be another job
            shutil.rmtree(folder)
        raise
    cells = [(int(x), int(y)) for x, y in buckets.cells]
    store = VoteStore(votes, len(network.classes))
    return PointJob(network, lattice, tuple(paths), folder, buckets, store, tuple(lattice.blocks(cells)))


def predict_blocks(job: PointJob, *, workers: int = 1, progress: Progress | None = None) -> None:
    """Compute and store the votes of those blocks that are not there yet.

    A block is computed by one thread, whatever runs beside it, so its numbers do not depend on ``workers``.

    Args:
        workers: blocks computed beside each other; memory grows with them. progress: called with (done, all) blocks.
    """
    todo = job.store.unfinished(job.blocks)
    done, total = len(job.blocks) - len(todo), len(job.blocks)
    if progress is not None:
        progress(done, total)
    with one_thread_per_tile(job.network.device), ThreadPoolExecutor(workers, thread_name_prefix='block') as pool:
        running: set[Future[None]] = set()
        waiting = iter(todo)
        try:
            while True:
                while len(running) < workers and (block := next(waiting, None)) is not None:
                    running.add(pool.submit(_compute, job, block))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    done += 1
                if progress is not None:
                    progress(done, total)
        finally:
            for future in running:
                future.cancel()


def check_targets(network: PointNetwork, paths: Sequence[Path], targets: Sequence[Path], field: str) -> None:
    """Raise before anything is computed what :func:`write_clouds` would raise at the end.

    Raises:
        PointWriteError: codes of the classes that the classification of a file cannot hold, or a dimension of the
            file's own with the name and not the type of one that is added.
    """
    codes = np.asarray(network.codes, np.int64)
    cloud = PointCloud(np.zeros((len(codes), 3)))
    for path, target in zip(paths, targets):
        if (like := _original(path, target)) is not None:
            check_copy(target, _labelled(cloud, codes, np.zeros(len(codes), np.float32), field, True), like, ADDED)


def _original(path: Path, target: Path) -> Path | None:
    """The file whose fields a copy keeps, where both formats can."""
    return path if path.suffix.lower() in LAS and target.suffix.lower() in LAS else None


def write_clouds(job: PointJob, targets: Sequence[Path], field: str = PREDICTED) -> NDArray[np.int64]:
    """Join the votes, write every input with its labels to ``targets``, remove the folder; points per class (C,).

    LAS and LAZ keep every field, record and the header to the bit. Added are ``confidence`` (float32, the mean
    probability of the label) and ``predicted`` (the code of the class), or exchanged where an earlier prediction wrote
    them; with ``field='classification'`` the classification is exchanged.
    """
    labels, confidence = _joined(job)
    codes = np.asarray(job.network.codes, np.int64)
    first = 0
    for path, target in zip(job.paths, targets):
        like = _original(path, target)
        with PointWriter(target, like, ADDED) as writer:
            for cloud in iter_points(path, CHUNK, attributes=None if like is None else ()):
                place = slice(first, first + len(cloud))
                writer.append(_labelled(cloud, codes[labels[place]], confidence[place], field, like is not None))
                first += len(cloud)
    counts = np.zeros(len(codes), np.int64)
    for start in range(0, len(labels), CHUNK):
        counts += np.bincount(labels[start : start + CHUNK], minlength=len(codes))
    del labels, confidence
    shutil.rmtree(job.folder)
    return counts


def _labelled(
    cloud: PointCloud, codes: NDArray[np.int64], confidence: NDArray[np.float32], field: str, copied: bool
) -> PointCloud:
    """A chunk with its prediction; of a copied file only what is added."""
    added: dict[str, NDArray[Any]] = {CONFIDENCE: np.array(confidence)}
    semantic = None if copied else cloud.semantic
    if field == CLASSIFICATION:
        semantic = codes
    else:
        added = {PREDICTED: codes.astype(np.uint8 if codes.max(initial=0) < 256 else np.uint16), **added}
    kept = {} if copied else cloud.attributes
    return PointCloud(cloud.xyz, {**kept, **added}, semantic, None if copied else cloud.instance, cloud.crs)


def _compute(job: PointJob, block: Block) -> None:
    """Votes of one block, from its points to its file."""
    places, records = job.buckets.read(job.buckets.spans(job.lattice.cells_of(block)))
    near = job.lattice.inside(block, records['xyz'], job.lattice.margin)
    places, records = places[near], records[near]
    inside = job.lattice.inside(block, records['xyz'], 0.0)
    voting = job.lattice.inside(block, records['xyz'][inside], -job.lattice.halo)
    if not voting.any():
        job.store.write(block, places[:0], np.zeros((0, job.store.classes), np.float32))
        return
    probabilities = job.network(_sample_of(job, block, records), inside)
    job.store.write(block, places[inside][voting], probabilities[voting])


def _sample_of(job: PointJob, block: Block, records: NDArray[Any]) -> Points:
    """The points of a block as the pipeline takes them, relative to the middle of the block."""
    origin = job.lattice.origin(block) + [job.lattice.block / 2, job.lattice.block / 2, 0.0]
    name = f'block {block[0]}_{block[1]}'
    return {
        'points': (records['xyz'] - origin).astype(np.float32), 'origin': origin,
        'attributes': {column: np.ascontiguousarray(records[column]) for column in job.buckets.columns},
        'points_path': f'{job.paths[0]} ({name})', 'scene': name,
    }  # fmt: skip


def _joined(job: PointJob) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Label and confidence of every point in the order of the files, in files of the work folder."""
    number = len(job.buckets)
    labels = np.memmap(job.folder / 'labels.bin', np.uint16, 'w+', shape=(number,))
    confidence = np.memmap(job.folder / 'confidence.bin', np.float32, 'w+', shape=(number,))
    for cell, start, end in _cells(job.buckets):
        mean = job.store.mean(job.buckets, job.lattice, cell)
        _, records = job.buckets.read([(start, end)])
        labels[records['index']] = mean.argmax(axis=1)
        confidence[records['index']] = mean.max(axis=1)
    return labels, confidence


def _cells(buckets: PointBuckets) -> Iterator[tuple[tuple[int, int], int, int]]:
    """(cell, first, end) of the occupied cells."""
    for cell, start, end in zip(buckets.cells.tolist(), buckets.starts[:-1].tolist(), buckets.starts[1:].tolist()):
        yield (cell[0], cell[1]), start, end


def _file_facts(path: Path) -> dict[str, Any]:
    """Name, size and time of a file."""
    facts = path.stat()
    return {'name': str(path.resolve()), 'bytes': facts.st_size, 'modified': facts.st_mtime_ns}
