"""Run the cells of a grid as processes: resumable, a few at a time, one thread each, shared out over ranks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imbdense.benchmark.grid_progress import grid_progress
from imbdense.benchmark.runs import FAILURE_FILE, RESULT_FILE, Evaluation, Run, write_config
from imbdense.utils.distributed import launched_rank
from imbdense.utils.files import atomic_write_json, atomic_write_text

LAUNCHER_VARIABLES = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
POLL_SECONDS = 0.5


def run_all(runs: Sequence[Run], configs: Path, *, jobs: int, report: Callable[[str], None]) -> list[Run]:
    """Run every cell that has no result yet, ``jobs`` at a time; return those that failed.

    A killed grid goes on where it stopped: finished runs are kept, a half-done one resumes from its last checkpoint.
    Ctrl-C stops the children and leaves everything resumable. What runs is shown on the way. Where GPUs are visible,
    the jobs take them in turn.

    Started by torchrun or SLURM on several ranks, each rank runs every n-th cell with ``jobs`` of its own in the shared
    folder; rank 0 waits for the others' results. Start it again to go on; a cell that failed is then tried again.
    """
    rank, world = launched_rank(os.environ)
    mine = list(runs[rank::world])
    waiting = [run for run in mine if run.result() is None]
    report(f'{len(mine) - len(waiting)} of {len(mine)} runs are done; {len(waiting)} to go, {jobs} at a time')
    for run in waiting:
        (run.folder / FAILURE_FILE).unlink(missing_ok=True)
    free = list(range(jobs))
    active: dict[Run, tuple[subprocess.Popen[bytes], float, int]] = {}
    with grid_progress(report) as show:
        try:
            while waiting or active:
                while waiting and free:
                    run, slot = waiting.pop(0), free.pop(0)
                    active[run] = (_start(run, configs, slot), time.monotonic(), slot)
                show(active)
                for run, (process, start, slot) in list(active.items()):
                    if process.poll() is not None:
                        del active[run]
                        free.append(slot)
                        _finish(run, process.returncode, time.monotonic() - start, report)
                time.sleep(POLL_SECONDS)
            while rank == 0 and world > 1 and not all(run.ended() for run in runs):
                time.sleep(POLL_SECONDS)
        finally:
            for process, *_ in active.values():
                process.terminate()
    return [run for run in (runs if rank == 0 else mine) if run.result() is None]


def _finish(run: Run, code: int, seconds: float, report: Callable[[str], None]) -> None:
    """Keep the result of a run that has ended, or note that it failed."""
    scores = run.scores() if code == 0 or isinstance(run, Evaluation) else {}
    if scores:
        atomic_write_json(run.folder / RESULT_FILE, {'metrics': scores, 'seed': run.seed, 'method': run.method.name})
        report(f'done    {run.label} ({seconds / 60:.1f} min)')
    else:
        atomic_write_text(run.folder / FAILURE_FILE, f'exit code {code}; see {run.log.name}\n')
        report(f'FAILED  {run.label}: see {run.log}')


def _start(run: Run, configs: Path, slot: int) -> subprocess.Popen[bytes]:
    """Launch one process with its output in ``log.txt``."""
    config = write_config(run, configs)
    environment = dict(os.environ, OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    gpus = _gpus(environment)
    if gpus:
        environment['CUDA_VISIBLE_DEVICES'] = gpus[(slot + int(environment.get('LOCAL_RANK', 0))) % len(gpus)]
    for name in LAUNCHER_VARIABLES:  # each run is a process of its own, also when the grid itself was launched on ranks
        environment.pop(name, None)
    with open(run.log, 'ab') as log:
        return subprocess.Popen(
            [sys.executable, '-m', 'imbdense', *run.command(config)], stdout=log, stderr=subprocess.STDOUT,
            env=environment,
        )


def _gpus(environment: Mapping[str, str]) -> list[str]:
    """The visible GPUs, as CUDA_VISIBLE_DEVICES spells them."""
    listed = environment.get('CUDA_VISIBLE_DEVICES')
    if listed is not None:
        return [name for name in listed.split(',') if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
