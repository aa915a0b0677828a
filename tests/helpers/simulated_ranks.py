"""Ranks as threads of one process: what table metrics exchange, without starting processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from imbdense.mm.metrics import table_metric


class SimulatedRanks:
    """Stands for the collectives of :mod:`imbdense.mm.metrics.table_metric` while ``run`` runs."""

    def __init__(self, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.barrier, self.local = world, threading.Barrier(world, timeout=60), threading.local()
        self.slots: list[Any] = [None] * world
        monkeypatch.setattr(table_metric, 'rank_and_world', lambda: (self.local.rank, world))
        monkeypatch.setattr(table_metric, 'gather_objects', self.gather)
        monkeypatch.setattr(table_metric, 'sum_over_ranks', self.sum)

    def run(self, fn: Callable[[int], Any]) -> list[Any]:
        """``fn(rank)`` on every rank at once."""

        def start(rank: int) -> Any:
            self.local.rank = rank
            return fn(rank)

        with ThreadPoolExecutor(self.world) as pool:
            return [job.result() for job in [pool.submit(start, rank) for rank in range(self.world)]]

    def gather(self, value: Any) -> list[Any]:
        """All values, in the order of the ranks."""
        self.slots[self.local.rank] = value
        self.barrier.wait()
        everyone = list(self.slots)
        self.barrier.wait()
        return everyone

    def sum(self, tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sums by name; every rank must bring the same names."""
        everyone = self.gather(tables)
        names = [set(part) for part in everyone]
        if any(part != names[0] for part in names):
            raise RuntimeError(f'ranks brought different tables: {names}')
        return {name: sum(part[name] for part in everyone) for name in tables}
