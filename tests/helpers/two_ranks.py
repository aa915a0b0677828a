"""Run a function on two ranks (gloo, CPU) and get both results: for everything that is reduced across processes."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PRELOADED = ['torch.distributed', 'mmengine.runner', 'mmdet.models', 'mmseg.models']
"""What the server of processes imports, once per process of pytest, for all its ranks; what is missing is left out."""
TIMEOUT = timedelta(seconds=120)
"""A rank that waits longer for the other one fails the test instead of hanging it."""


def run_two_ranks(fn: Callable[..., Any], *args: Any, world_size: int = 2) -> list[Any]:
    """Return ``[fn(*args) on rank 0, fn(*args) on rank 1]``, run in two new processes with an initialised group.

    The processes are forks of a server that has imported the hosts and done nothing else. ``fn`` must be a module-level
    function (it is pickled by name) and asks ``torch.distributed.get_rank()`` who it is. Its result must be picklable.
    An exception on either rank is raised here with its traceback. The processes meet through a file, so tests that run
    side by side cannot take each other's port.
    """
    mp.get_context('forkserver').set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory(prefix='imbdense-ranks-') as folder:
        try:
            mp.start_processes(_rank_main, args=(world_size, folder, dict(os.environ), fn, args), nprocs=world_size,
                               start_method='forkserver')
        except Exception as error:  # the other rank often only reports a lost connection: show what every rank saw
            reports = [path.read_text() for path in sorted(Path(folder).glob('error_*.txt'))]
            raise RuntimeError('\n'.join(reports) or 'a rank ended without a report') from error
        return [pickle.loads((Path(folder) / f'result_{rank}.pkl').read_bytes()) for rank in range(world_size)]


def _rank_main(
    rank: int, world_size: int, folder: str, environ: dict[str, str], fn: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """One rank: take over the environment of the test, join the group, run, leave the result in a file."""
    os.environ.clear()
    os.environ.update(environ)
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world_size))
    store = dist.FileStore(os.path.join(folder, 'rendezvous'), world_size)
    dist.init_process_group('gloo', store=store, rank=rank, world_size=world_size, timeout=TIMEOUT)
    try:
        result = fn(*args)
        (Path(folder) / f'result_{rank}.pkl').write_bytes(pickle.dumps(result))
        dist.barrier()
    except BaseException:
        (Path(folder) / f'error_{rank}.txt').write_text(f'rank {rank}:\n{traceback.format_exc()}')
        raise
    finally:
        dist.destroy_process_group()
    # The result is on disk and the other rank has it too. Leave without the interpreter's tear-down: C++ threads that
    # are still alive then abort the process now and then ("terminate called without an active exception").
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
