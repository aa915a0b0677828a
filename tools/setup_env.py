#!/usr/bin/env python3
"""Prepare the environment of the checkout: system libraries, virtual environment, torch, mmcv, the rest, imbdense.

    python3 tools/setup_env.py           the whole environment in .venv (or $VENV): what `make setup` runs
    python3 tools/setup_env.py --core    only torch, numpy, scipy and pytest, for `make test-core`

Every step leaves a stamp, so an interrupted run goes on where it stopped and a finished one answers in well under a
second; a changed requirements.txt or setup.py invalidates only the steps that depend on it. A torch that is already
in the environment is kept, and so is every host library (found by import name, whatever distribution it comes from).

Environment variables: VENV (folder), PYTHON (interpreter), IMBDENSE_TORCH_SPEC (pip requirement for torch), MAX_JOBS
(compiler jobs). Which registry is used is pip's own configuration.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 10)


def reexec_with_newer_python() -> None:
    """Start again with the first interpreter that is new enough, when this one is not."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for name in ('python3.11', 'python3.12', 'python3.13', 'python3.10'):
        found = shutil.which(name)
        if found:
            os.execv(found, [found, *sys.argv])
    raise SystemExit(
        f'imbdense needs Python 3.10 or newer; {sys.executable} is {sys.version.split()[0]}. Install one '
        f'(sudo apt-get install -y python3.11 python3.11-venv python3.11-dev) or name it: PYTHON=/path/to/python make'
    )


reexec_with_newer_python()
sys.path.insert(0, str(Path(__file__).resolve().parent))

import setup_steps as steps  # noqa: E402  (after the check: the modules use newer syntax)
from setup_runner import Runner, StepFailedError  # noqa: E402


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


def digest(*parts: str) -> str:
    """A short key of several texts."""
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:32]


class SetUp:
    """One run over the steps of one environment."""

    def __init__(self, venv: Path, core: bool) -> None:
        self.place = steps.Place(root=ROOT, venv=venv)
        self.state = self.place.state
        self.runner = Runner(self.state / 'setup.log', say)
        self.plan: list[tuple[str, str, Callable[[], None], Callable[[], str]]] = (
            steps.core_plan(self.place, self.runner) if core else steps.full_plan(self.place, self.runner)
        )

    def keys(self) -> dict[str, str]:
        """The key that each step's stamp must hold to be valid now; a step's key contains those before it."""
        key, result = '', {}
        for name, _, _, inputs in self.plan:
            key = digest(key, name, inputs())
            result[name] = key
        return result

    def stamp(self, name: str) -> Path:
        """The stamp file of a step."""
        return self.state / f'{name}.stamp'

    def is_done(self, name: str, keys: dict[str, str]) -> bool:
        """True if the step has run and nothing that it depends on has changed since."""
        stamp = self.stamp(name)
        return self.place.python.exists() and stamp.exists() and stamp.read_text() == keys[name]

    def run(self) -> None:
        """Run the steps that are not done yet; each stamp is written when its step has succeeded."""
        began = time.monotonic()
        total, ran = len(self.plan), 0
        for number, (name, title, action, _) in enumerate(self.plan, start=1):
            if self.is_done(name, self.keys()):
                continue
            say(f'[{number}/{total}] {title}')
            step_began = time.monotonic()
            action()
            ran += 1
            self.state.mkdir(parents=True, exist_ok=True)
            self.stamp(name).write_text(self.keys()[name])
            say(f'[{number}/{total}] done in {time.monotonic() - step_began:.0f} s')
        place = self.place.venv
        if ran:
            say(f'The environment {place} is ready ({time.monotonic() - began:.0f} s).')
        else:
            say(f'The environment {place} is up to date.')


def locked(venv: Path) -> IO[str]:
    """Hold the lock of ``venv`` until the process ends, so that two set-ups do not write one environment."""
    place = steps.Place(root=ROOT, venv=venv)
    steps.refuse_foreign_folder(place)
    place.state.mkdir(parents=True, exist_ok=True)
    handle = open(place.state / 'lock', 'w')  # noqa: SIM115  (held until the process ends)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f'Another set-up of {venv} is running; waiting for it.')
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def main() -> int:
    """Set up and return the exit code: 0 ready, 1 a step failed, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--core', action='store_true', help='only what imbdense.core and its tests need')
    core = parser.parse_args().core
    default = ROOT / ('.venv-core' if core else '.venv')
    venv = Path(os.environ.get('VENV') or default).expanduser()
    venv = venv if venv.is_absolute() else ROOT / venv
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with locked(venv):
            SetUp(venv, core).run()
        return 0
    except StepFailedError as error:
        say(f'\nset-up: {error}')
        return 1
    except OSError as error:
        say(f'\nset-up: {error}. Free space or choose a writable folder (VENV=...), then run the same command again.')
        return 1
    except KeyboardInterrupt:
        say('\nset-up: interrupted. What was finished is kept; run the same command again to go on.')
        return 130


if __name__ == '__main__':
    raise SystemExit(main())
