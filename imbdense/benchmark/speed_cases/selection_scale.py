"""One selection by OFDS from 1e5 objects, filter by neighbours included, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from imbdense.benchmark.speed_case import SLACK, SpeedResult

SELECTION_SECONDS, FILTER_SECONDS, GIB = 60.0, 240.0, 0.6


class SelectionScaleCase:
    """Has the interface of a :class:`~imbdense.benchmark.speed_case.SpeedCase`, with three absolute limits."""

    name = 'ofds'
    what = 'OFDS, 1000 images of 100 000 objects × 768 in 20 classes on the disk, one thread'

    def measure(self) -> list[SpeedResult]:
        """CPU seconds of the selection and of its filter, and memory beyond mapped files."""
        done = subprocess.run(
            [sys.executable, '-m', 'imbdense.benchmark.selection_scale'], capture_output=True, text=True, check=False,
            env={**os.environ, 'OMP_NUM_THREADS': '1'})
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f'exit {done.returncode}'
            return [self._result(float('nan'), SELECTION_SECONDS, 's', reason)]
        found = json.loads(done.stdout.splitlines()[-1])
        runs = f'{found["kmeans_runs"]} k-means'
        return [
            self._result(found['selection_cpu_s'], SELECTION_SECONDS, 's', f'CPU time without the filter, {runs}'),
            self._result(found['filter_cpu_s'], FILTER_SECONDS, 's', 'CPU time of the filter, exact 10 neighbours'),
            self._result(found['peak_mib'] / 1024, GIB, 'GiB', 'peak memory beyond mapped files'),
        ]

    def _result(self, value: float, target: float, unit: str, note: str) -> SpeedResult:
        """One line."""
        return SpeedResult(self.name, self.what, 'limit', value, target, unit, note, value <= SLACK * target)


CASES = (SelectionScaleCase(),)
