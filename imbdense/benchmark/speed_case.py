"""One speed case: ours against a peer in the same process, with an equality check and a scaling check.

Ratios, not milliseconds: both sides run in turn on one thread, CPU time is taken (wall time on a shared machine
varies fivefold), the least of the repetitions counts. A ratio without equal results is void.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

SLACK = 1.5
"""A case fails above SLACK x its target: targets are what we promise, machines differ."""
GROWTH_SLACK = 1.25
"""The same for growth: on a busy machine one linear piece of code was seen between 3.7 and 4.8; quadratic is 16."""
QUICK_SECONDS = 0.005
"""Calls shorter than this are timed in groups, so that the clock's resolution does not matter."""


class Unequal(Exception):
    """Ours and the peer gave different results; the message says by how much."""


@dataclass(frozen=True)
class Workload:
    """Both sides of a case at one problem size.

    ``ours`` and ``peer`` do the timed work and return their result; ``check(ours, peer)`` raises :class:`Unequal` or
    returns in words how equal they are.
    """

    ours: Callable[[], Any]
    peer: Callable[[], Any]
    check: Callable[[Any, Any], str]


@dataclass(frozen=True)
class SpeedCase:
    """A comparison with a peer.

    Attributes:
        name: for the command line.
        what: the work, with its size. peer: whose way it is compared with.
        target: promised ratio of CPU times, ours / peer.
        make: builds the workload at a size; 1.0 is the full one, that of the ratio.
        growth: most that four times the work may cost (4.6 linear, 5.5 n log n); ``None`` when size does not matter.
        small: size of the smaller work of that comparison; above 1 where smaller arrays would fit a cache that the
            larger ones do not: leaving a cache is no growth of the work.
        repeats: timed repetitions of ours; peer_repeats: of the peer (fewer where it takes seconds).
    """

    name: str
    what: str
    peer: str
    target: float
    make: Callable[[float], Workload]
    growth: float | None = 4.6
    small: float = 0.25
    repeats: int = 7
    peer_repeats: int = 5

    def measure(self) -> list[SpeedResult]:
        """Run the case; one result."""
        with one_thread():
            work = self.make(1.0)
            try:
                equality = work.check(work.ours(), work.peer())
            except Unequal as error:
                return [self._result(math.nan, None, f'UNEQUAL: {error}', False)]
            ours, peer = interleaved(work.ours, work.peer, self.repeats, self.peer_repeats)
            del work
            gc.collect()
            growth = None if self.growth is None else self._measured_growth()
        fits = growth is None or growth <= GROWTH_SLACK * self.growth
        within = growth is None or growth <= self.growth
        note = equality if within else f'{equality}; four times the work costs {growth:.1f} times, wanted {self.growth}'
        return [self._result(ours / peer, growth, note, ours / peer <= SLACK * self.target and fits, ours, peer)]

    def _measured_growth(self) -> float:
        """What four times the work costs; both sizes run in turn, so that a busy moment hits both."""
        repeats = max(5, min(self.repeats, 7))
        small, large = self.make(self.small).ours, self.make(4 * self.small).ours
        large_time, small_time = interleaved(large, small, repeats, repeats)
        return large_time / small_time

    def _result(
        self, ratio: float, growth: float | None, note: str, good: bool, ours: float = math.nan, peer: float = math.nan
    ) -> SpeedResult:
        """Fill in what is known from the case."""
        return SpeedResult(
            self.name, self.what, self.peer, ratio, self.target, 'x', note, good, growth, 1e3 * ours, 1e3 * peer
        )


@dataclass(frozen=True)
class SpeedResult:
    """One line of the table; ``value`` and ``target`` are in ``unit``: ``'x'`` (ratio), ``'s'`` or ``'GiB'``."""

    name: str
    what: str
    peer: str
    value: float
    target: float
    unit: str
    note: str
    good: bool
    growth: float | None = None
    ours_ms: float = math.nan
    peer_ms: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; undefined numbers are ``None``."""
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in
                asdict(self).items()}


def interleaved(
    ours: Callable[[], Any], peer: Callable[[], Any], repeats: int, peer_repeats: int
) -> tuple[float, float]:
    """Least CPU time per call of both, run in turn so that a busy moment of the machine hits both."""
    sides = (
        (ours, repeats, _group_size(ours)),
        (peer, peer_repeats, 1 if peer_repeats < 3 else _group_size(peer)),
    )
    best = [math.inf, math.inf]
    for turn in range(max(repeats, peer_repeats)):
        for side, (function, count, group) in enumerate(sides):
            if turn < count:
                best[side] = min(best[side], _timed(function, group))
    return best[0], best[1]


def _group_size(function: Callable[[], Any]) -> int:
    """How many calls make a measurable time; also warms up."""
    function()
    once = _timed(function, 1)
    return max(1, math.ceil(QUICK_SECONDS / max(once, 1e-7))) if once < QUICK_SECONDS else 1


def _timed(function: Callable[[], Any], group: int) -> float:
    """CPU seconds per call."""
    start = time.process_time()
    for _ in range(group):
        function()
    return (time.process_time() - start) / group


def keep_freed_memory() -> None:
    """Tell glibc to hand freed memory out again instead of returning it to the system (no effect elsewhere).

    Otherwise large arrays are mapped anew in every call and the page faults, not the work, decide how time grows.
    It stays so for the rest of the process and helps both sides alike.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL('libc.so.6')
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, OpenCV, BLAS and numba use one thread each inside the block."""
    import cv2
    import torch

    keep_freed_memory()
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(limits=1))
        try:
            yield
        finally:
            torch.set_num_threads(before)
            cv2.setNumThreads(cv_before)


def require_close(what: str, ours: Any, peer: Any, tolerance: float) -> str:
    """Return 'largest difference …', or raise :class:`Unequal` when it exceeds ``tolerance`` (absolute)."""
    import numpy as np

    gap = float(np.max(np.abs(np.asarray(ours, dtype=np.float64) - np.asarray(peer, dtype=np.float64)), initial=0.0))
    if not gap <= tolerance:
        raise Unequal(f'{what} differ by {gap:.3g}, allowed {tolerance:.0e}')
    return f'{what}: largest difference {gap:.1e}'
