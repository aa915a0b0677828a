"""Worker processes that die with their parent and leave Ctrl-C to it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any


@contextlib.contextmanager
def worker_pool(
    workers: int, method: str = 'spawn', start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool; when the block ends early (an exception, Ctrl-C) its processes are ended at once.

    Without this each would finish what it has begun and what waits in the queue, which can take minutes.

    Args:
        workers: number of processes. method: how they are started.
        start: called with ``arguments`` in every process before its first task.
    """
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context(method), _initialise, (os.getpid(), start, arguments)
    )
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        raise


def _initialise(parent: int, start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Leave Ctrl-C to the parent; stop when the parent was killed, so that no orphan holds a lock."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if start is not None:
        start(*arguments)
