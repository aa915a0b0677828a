"""Seconds of the parts of a job, by name."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Adds up wall-clock seconds; parts may be measured many times, and inside each other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time inside the block, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def __str__(self) -> str:
        """``'predict 4.1 s, bank 0.2 s'``."""
        return ', '.join(f'{part} {value:.1f} s' for part, value in self.seconds.items())
