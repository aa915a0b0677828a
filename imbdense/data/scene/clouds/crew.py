"""Processes that stay alive between the rounds of a dial; results come in order and do not depend on their number."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from imbdense.utils.worker_pool import worker_pool


class Job(Protocol):
    """Something picklable that knows how to become a task, for example by building a ray caster once."""

    def start(self) -> Callable[[Any], Any]:
        """Return the function that does one item."""


class Crew:
    """``workers`` spawned processes (1 = this one). Use as a context manager.

    A job is pickled once per round into ``folder``; each process loads it when it first sees it.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        self.folder, self.workers = folder, workers
        self._pool: ProcessPoolExecutor | None = None
        self._stack = contextlib.ExitStack()
        self._rounds = 0

    def __enter__(self) -> Crew:
        if self.workers > 1:
            self._pool = self._stack.enter_context(worker_pool(self.workers))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, job: Job, items: Sequence[Any]) -> Iterator[Any]:
        """Yield ``job.start()(item)`` in order.

        Raises:
            RuntimeError: a process died (for example killed for want of memory).
        """
        if self._pool is None or len(items) < 2:
            yield from map(job.start(), items)
            return
        path = self.folder / f'job_{self._rounds}.pickle'
        self._rounds += 1
        path.write_bytes(pickle.dumps(job))
        try:
            chunk = max(len(items) // (8 * self.workers), 1)
            yield from self._pool.map(_work, [(path, item) for item in items], chunksize=chunk)
        except BrokenProcessPool as error:
            raise RuntimeError('a process died, most likely for want of memory; run the same command again with fewer '
                               'workers: finished scenes are kept.') from error
        path.unlink()


_current: tuple[Path, Callable[[Any], Any]] | None = None


def _work(order: tuple[Path, Any]) -> Any:
    """Task of a process: load the job when it is a new one."""
    global _current
    path, item = order
    if _current is None or _current[0] != path:
        _current = (path, pickle.loads(path.read_bytes()).start())  # our own file, written by this run
    return _current[1](item)
