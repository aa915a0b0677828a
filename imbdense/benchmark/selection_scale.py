"""One selection by OFDS from a large pool on the disk: processor time of the filter and of the rest, peak memory.

  python -m imbdense.benchmark.selection_scale --objects 100000 --classes 20 --budget 1000 --folder /tmp

A process of its own, so that the peak is that of this selection. One thread unless ``--threads`` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection import OFDS, KNNVerifier, ObjectPool
from imbdense.core.selection.feature_rows import Features
from imbdense.core.selection.knn_verifier import Verdict

OBJECTS_PER_IMAGE, MODES = 5, 6
WRITTEN_ROWS = 16384


class TimedVerifier(KNNVerifier):
    """A verifier that remembers what it took.

    Attributes:
        seconds: (processor, wall).
    """

    seconds = (0.0, 0.0)

    def __call__(self, features: Features, claimed: NDArray[np.int32], num_classes: int) -> Verdict:
        """See :class:`KNNVerifier`."""
        clock = Clock()
        verdict = super().__call__(features, claimed, num_classes)
        self.seconds = clock.seconds()
        return verdict


class Clock:
    """Processor and wall seconds since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def seconds(self) -> tuple[float, float]:
        """(processor, wall)."""
        return time.process_time() - self._cpu, time.perf_counter() - self._wall


def large_pool(folder: Path, objects: int, classes: int, dim: int) -> ObjectPool:
    """Objects of classes with shares ~ rank^-1.3, each class with six modes; half-precision features on the disk."""
    rng = np.random.default_rng(0)
    share = np.arange(1, classes + 1) ** -1.3
    klass = rng.choice(classes, objects, p=share / share.sum()).astype(np.int32)
    means = rng.normal(size=(classes, 1, dim)) + 0.5 * rng.normal(size=(classes, MODES, dim))
    features = np.lib.format.open_memmap(folder / f'{objects}_{classes}.npy', 'w+', np.float16, (objects, dim))
    for start in range(0, objects, WRITTEN_ROWS):
        own = klass[start : start + WRITTEN_ROWS]
        mode = rng.integers(MODES, size=len(own))
        features[start : start + len(own)] = means[own, mode] + rng.standard_normal((len(own), dim), np.float32)
    features.flush()
    image = np.arange(objects) // OBJECTS_PER_IMAGE
    box = np.tile(np.array([0, 0, 8, 8], np.float32), (objects, 1)) + 20 * (np.arange(objects) % 5)[:, None]
    return ObjectPool(
        [f'class {c}' for c in range(classes)], [str(i) for i in range(int(image[-1]) + 1)], image, klass,
        np.ones(objects, np.float32), box.astype(np.float32), np.full(objects, 64, np.float32),
        np.load(folder / f'{objects}_{classes}.npy', mmap_mode='r'))  # fmt: skip


def peak_beyond(work: Callable[[], Any]) -> tuple[Any, float]:
    """(result, MiB of memory of the process that is no mapped file, above what it had before, at the peak)."""
    base, peak, running = _anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not running.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = work()
    finally:
        running.set()
        watcher.join()
    return result, max(peak[0], _anonymous()) - base


def _anonymous() -> float:
    """MiB; nan where the system does not say."""
    status = Path('/proc/self/status')
    if not status.exists():
        return float('nan')
    line = next(line for line in status.read_text().splitlines() if line.startswith('RssAnon'))
    return int(line.split()[1]) / 1024


def measure(objects: int, classes: int, budget: int, dim: int, folder: Path, verify: bool) -> dict[str, Any]:
    """Figures of one selection."""
    pool, verifier = large_pool(folder, objects, classes, dim), TimedVerifier()
    OFDS()(large_pool(folder, 2000, 3, dim), 4)  # what libraries allocate at their first call
    selector, clock = OFDS(verify=verifier if verify else None), Clock()
    selection, peak = peak_beyond(lambda: selector(pool, budget, seed=0))
    total = clock.seconds()
    passes = selection.report['passes']
    return {
        'objects': objects, 'classes': classes, 'budget': budget, 'dim': dim, 'chosen': len(selection.choices),
        'kmeans_runs': sum(record['kmeans_runs'] for record in passes), 'filter_cpu_s': verifier.seconds[0],
        'filter_wall_s': verifier.seconds[1], 'selection_cpu_s': total[0] - verifier.seconds[0],
        'selection_wall_s': total[1] - verifier.seconds[1], 'peak_mib': peak,
    }  # fmt: skip


def main() -> None:
    """Print the figures as JSON."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--objects', type=int, default=100_000)
    parser.add_argument('--classes', type=int, default=20)
    parser.add_argument('--budget', type=int, default=1000)
    parser.add_argument('--dim', type=int, default=768)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--no-verify', action='store_true', help='without the filter by neighbours')
    parser.add_argument('--folder', type=Path, help='where the pool is written and removed (default: temporary)')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print(json.dumps(measure(args.objects, args.classes, args.budget, args.dim, Path(folder), not args.no_verify)))


if __name__ == '__main__':
    main()
