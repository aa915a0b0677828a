"""Run a function over chunks in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

from imbdense.utils.worker_pool import worker_pool

Item = TypeVar('Item')
Result = TypeVar('Result')


def default_workers() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def map_chunks(
    function: Callable[..., Result], chunks: Sequence[Item], *arguments: Any, workers: int
) -> Iterator[Result]:
    """Yield ``function(chunk, *arguments)`` for every chunk as they get ready, in any order.

    ``workers`` <= 1 or a single chunk runs here. A few chunks per worker are under way at a time, so memory does not
    grow with their number. When the consumer stops early (an exception, Ctrl-C) the workers are ended at once.
    """
    if workers <= 1 or len(chunks) <= 1:
        for chunk in chunks:
            yield function(chunk, *arguments)
        return
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    workers = min(workers, len(chunks))
    pending: set[Future[Result]] = set()
    following = iter(chunks)
    with worker_pool(workers, method) as pool:
        while True:
            while len(pending) < 3 * workers and (following_chunk := next(following, None)) is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore', DeprecationWarning)  # fork beside torch's idle threads
                    pending.add(pool.submit(function, following_chunk, *arguments))
            if not pending:
                break
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
