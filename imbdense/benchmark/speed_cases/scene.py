"""Time and memory of generating the 120 m scene of the specification, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from imbdense.benchmark.speed_case import SLACK, SpeedResult

SECONDS, GIB = 60.0, 3.0

_CODE = """
import json, resource, sys
from imbdense.data.scene.generate import generate_scene
from imbdense.data.scene.presets import PRESETS
generate_scene(PRESETS['standard'].scene, sys.argv[1], workers=1)
used = resource.getrusage(resource.RUSAGE_SELF)
peak = used.ru_maxrss
try:  # ru_maxrss starts with what the parent had; VmHWM is of this program alone
    peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))
except (OSError, StopIteration):
    pass
print(json.dumps({'seconds': used.ru_utime + used.ru_stime, 'kib': peak}))
"""
"""One worker renders in the process itself, so its own CPU time and memory are all there is."""


class SceneCase:
    """Has the interface of a :class:`~imbdense.benchmark.speed_case.SpeedCase`, with two absolute limits."""

    name = 'scene'
    what = '120 m scene, 216 images 512×384 with masks, depth and ortho, one worker, one thread'

    def measure(self) -> list[SpeedResult]:
        """CPU seconds and peak memory of the process."""
        with tempfile.TemporaryDirectory(prefix='imbdense-speed-') as folder:
            done = subprocess.run(
                [sys.executable, '-c', _CODE, f'{folder}/scene'], capture_output=True, text=True, check=False,
                env={**os.environ, 'OMP_NUM_THREADS': '1'},  # as everywhere here; two threads spin and wait
            )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f'exit {done.returncode}'
            return [self._result(float('nan'), SECONDS, 's', reason, False)]
        used = json.loads(done.stdout.splitlines()[-1])
        gib = used['kib'] / 2**20
        return [
            self._result(used['seconds'], SECONDS, 's', 'CPU time', used['seconds'] <= SLACK * SECONDS),
            self._result(gib, GIB, 'GiB', 'peak memory', gib <= SLACK * GIB),
        ]

    def _result(self, value: float, target: float, unit: str, note: str, good: bool) -> SpeedResult:
        """One line."""
        return SpeedResult(self.name, self.what, 'limit', value, target, unit, note, good)


CASES = (SceneCase(),)
