"""Run a function over chunks in worker processes that die with their parent and leave Ctrl-C to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

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
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context(method), initializer=_initialise, initargs=(os.getpid(),)
    )
    pending: set[Future[Result]] = set()
    following = iter(chunks)
    try:
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
        pool.shutdown()
    except BaseException:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        raise


def _initialise(parent: int) -> None:
    """Leave Ctrl-C to the parent; stop when the parent was killed, so that no orphan holds the lock."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
