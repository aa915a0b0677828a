"""Run one command of the set-up: log its output, show a heartbeat, stop its whole process group on Ctrl-C.

Used by ``setup_env.py`` only. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HEARTBEAT_SECONDS = 20.0
"""How often a line is printed where the output is not a terminal (CI logs)."""

CURES: tuple[tuple[str, str], ...] = (
    (r'No space left on device|Errno 28',
     'The disk is full. Free some space (about 4 GB for the CPU build, 10 GB for CUDA), then run the same command.'),
    (r'Temporary failure in name resolution|Connection refused|Network is unreachable|ConnectTimeout|ReadTimeout'
     r'|NewConnectionError|ProxyError|CERTIFICATE_VERIFY_FAILED',
     'The package registry cannot be reached. Check the network or pip\'s configuration (`pip config list`), then run '
     'the same command; what was finished is kept.'),
    (r'Python\.h: No such file', 'The Python headers are missing: sudo apt-get install -y python3-dev'),
    (r"(g\+\+|c\+\+|gcc)'? ?(failed: No such file|: not found)|No such file or directory: '(g|c)\+\+'",
     'There is no C++ compiler: sudo apt-get install -y g++'),
    (r'Killed signal terminated program cc1plus|fatal error: Killed|signal 9',
     'The compiler ran out of memory. Run again with fewer jobs: MAX_JOBS=1 make setup'),
    (r'CUDA_HOME environment variable is not set|nvcc.*not found',
     'The CUDA compiler is missing: install the CUDA toolkit of torch\'s CUDA version and set CUDA_HOME.'),
    (r'detected CUDA version .* mismatches',
     'nvcc and torch are of different CUDA versions: set CUDA_HOME to the toolkit of torch\'s version.'),
    (r'no RECORD file was found|uninstall-no-record-file',
     'An installation was killed half way. Remove the environment and start again: rm -r .venv; make setup'),
    (r'No matching distribution found|Could not find a version',
     'The registry that pip uses has no such release for this Python. Check `pip config list`; Python 3.10 to 3.13 '
     'have everything (PYTHON=python3.11 make setup chooses one).'),
)


class StepFailedError(Exception):
    """A step did not succeed; the message says what happened and what to do."""


class Runner:
    """Runs commands for one set-up; everything they print goes to ``log``.

    Args:
        log: file that receives the output of all commands, appended.
        say: prints one line for the user.
    """

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        self.log = log
        self.say = say

    def run(self, command: Sequence[str], env: Mapping[str, str] | None = None, progress: str = '') -> None:
        """Run ``command``; raise :class:`StepFailedError` with the tail of its output and the cure if it fails."""
        code, text = self.attempt(command, env, progress)
        if code != 0:
            raise StepFailedError(explain(command, code, text, self.log))

    def attempt(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, progress: str = ''
    ) -> tuple[int, str]:
        """Run ``command`` with a heartbeat and return its exit code and its output.

        ``progress`` is a regular expression; its last match in the output is shown in the heartbeat instead of the
        last line. On Ctrl-C the whole process group is stopped (a compiler started by pip would go on alone).
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, 'ab') as handle:
            handle.write(f'\n$ {shlex.join(command)}\n'.encode())
            handle.flush()
            start = handle.tell()
            process = subprocess.Popen(
                list(command), stdout=handle, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )
            try:
                self._watch(process, start, progress)
            except BaseException:
                stop_group(process)
                raise
        return process.returncode, self._output(start)

    def _watch(self, process: subprocess.Popen[bytes], start: int, progress: str) -> None:
        """Wait for ``process``; keep telling the user that it is alive."""
        began = time.monotonic()
        terminal = sys.stdout.isatty()
        due = began + (1.0 if terminal else HEARTBEAT_SECONDS)
        while True:
            try:
                process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if now < due:
                continue
            due = now + (1.0 if terminal else HEARTBEAT_SECONDS)
            line = f'      {now - began:5.0f} s  {last_line(self._output(start), progress)}'
            if terminal:
                sys.stdout.write('\r\x1b[2K' + line[:100])
                sys.stdout.flush()
            else:
                self.say(line[:140])
        if terminal:
            sys.stdout.write('\r\x1b[2K')
            sys.stdout.flush()

    def _output(self, start: int) -> str:
        """What was written to the log since ``start`` (at most the last 200 kB)."""
        with open(self.log, 'rb') as handle:
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(start, end - 200_000))
            return handle.read().decode('utf-8', 'replace')


def last_line(text: str, progress: str = '') -> str:
    """The last match of ``progress`` in ``text``, else its last line that holds something."""
    if progress:
        matches = re.findall(progress, text)
        if matches:
            return str(matches[-1])
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), 'still working')


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and all it started: as Ctrl-C would (pip rolls back), after three seconds by force."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=3)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def cure_of(text: str) -> str:
    """The cure of the first known fault found in ``text``, or an empty string."""
    return next((cure for pattern, cure in CURES if re.search(pattern, text)), '')


def explain(command: Sequence[str], code: int, text: str, log: Path) -> str:
    """The message for a failed command: its tail, the cure if known, and where the whole output is."""
    tail = '\n'.join('    | ' + line for line in text.splitlines()[-25:])
    cure = cure_of(text)
    advice = f'What to do: {cure}\n' if cure else ''
    return f'failed with exit code {code}: {shlex.join(command)}\n{tail}\n{advice}Whole output: {log}'
