"""How far the trainings of a grid are: a bar each on a terminal, otherwise a line a minute."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imbdense.benchmark.runs import Run

LINE_SECONDS = 60.0
_ITERATION = re.compile(rb'\(train\)\s*\[\s*(\d+)/(\d+)\]')


def iterations(log: Path) -> tuple[int, int]:
    """(done, of how many) from the last training line of a log; (0, 0) before the first."""
    try:
        with open(log, 'rb') as handle:
            handle.seek(max(handle.seek(0, 2) - 8192, 0))
            found = _ITERATION.findall(handle.read())
    except OSError:
        return 0, 0
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


@contextlib.contextmanager
def grid_progress(report: Callable[[str], None]) -> Iterator[Callable[[Iterable[Run]], None]]:
    """Yield a function that shows the state of the runs it is given; call it as often as you like.

    Args:
        report: prints a line where there is no terminal for bars.
    """
    if sys.stdout.isatty():
        with _bars() as show:
            yield show
        return
    last = time.monotonic()

    def line(active: Iterable[Run]) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            states = ((run.label, *iterations(run.log)) for run in active)
            report('running ' + ', '.join(f'{label} ({done}/{total or "?"})' for label, done, total in states))

    yield line


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[Iterable[Run]], None]]:
    """Bars that come and go with the runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = TextColumn('     {task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, transient=True) as bars:
        tasks: dict[Run, TaskID] = {}

        def show(active: Iterable[Run]) -> None:
            present = list(active)
            for run in [run for run in tasks if run not in present]:
                bars.remove_task(tasks.pop(run))
            for run in present:
                if run not in tasks:
                    tasks[run] = bars.add_task(run.label, total=None)
                done, total = iterations(run.log)
                bars.update(tasks[run], completed=done, total=total or None)

        yield show
