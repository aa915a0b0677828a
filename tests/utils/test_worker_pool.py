"""Worker processes: Ctrl-C ends them, with what is begun and what waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imbdense.data.scene.workers import map_tasks
from imbdense.utils.worker_pool import worker_pool


def touch(path: str) -> str:
    """A task."""
    Path(path).touch()
    return path


def touch_and_sleep(path: str) -> None:
    """A task that takes long."""
    touch(path)
    time.sleep(15)


def note(path: str) -> None:
    """What a process begins with."""
    touch(f'{path}/started_{os.getpid()}')


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """The handler of an ordinary start; background jobs of a shell begin with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_tasks_and_what_comes_before_them(tmp_path: Path) -> None:
    names = [str(tmp_path / str(number)) for number in range(5)]
    with worker_pool(2, start=note, arguments=(str(tmp_path),)) as pool:
        assert list(pool.map(touch, names)) == names
        processes = list(pool._processes.values())
    assert 1 <= len(list(tmp_path.glob('started_*'))) <= 2 and not any(one.is_alive() for one in processes)


@pytest.mark.usefixtures('_ctrl_c')
def test_ctrl_c_ends_scenes_that_are_begun_and_begins_no_other(tmp_path: Path) -> None:
    """A pool of the standard library would first finish all four."""
    names = [str(tmp_path / str(number)) for number in range(4)]

    def interrupt() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(map_tasks(touch_and_sleep, names, 2))
    thread.join()
    assert len(list(tmp_path.iterdir())) == 2
