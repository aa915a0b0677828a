"""What selectors hold in memory beyond a table that stays on the disk, and how time grows with its rows."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
ROWS, DIM = 60_000, 256  # 61 MB as float32

CODE = """
    import resource, sys
    import numpy as np, torch
    torch.set_num_threads(1)
    import imbdense.core.selection as s
    from imbdense.core.selection import feature_rows, knn
    from tests.helpers.selection_pools import pool_of
    feature_rows.KEPT_BYTES = 0        # as for a table of more than 512 MB
    name, rows, path, classes = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    table = np.load(path, mmap_mode='r')[:rows]
    pool = pool_of(np.zeros((rows, 1)), np.arange(rows) // 4, np.arange(rows) % 7 % 5)
    object.__setattr__(pool, 'obj_feat', table)
    if classes:
        object.__setattr__(pool, 'classes', [f'class {c}' for c in range(classes)])
        object.__setattr__(pool, 'obj_class', np.minimum(np.arange(rows) % (classes + 3), classes - 1).astype(np.int32))
    options = {'ZCore': {'draws': 64}, 'ProbCover': {'delta': 1.2}, 'FacilityLocation': {'k': 5},
               'OFDS': {} if classes else {'verify': None}}.get(name, {})
    selector = getattr(s, name)(**options)
    selector(pool_of(np.eye(3)), 2)    # imports and first allocations of the libraries
    read_status = lambda: {l.split(':')[0]: l.split()[1] for l in open('/proc/self/status') if l.startswith('Rss')}
    anon = lambda: int(read_status()['RssAnon'])
    import threading, time
    peak, base, running = [anon()], anon(), [True]
    def watch():
        while running[0]:
            peak[0] = max(peak[0], anon())
            time.sleep(0.005)
    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    chosen = selector(pool, 40, selected=[0, 1])
    spent = time.process_time() - start
    running[0] = False
    watcher.join()
    assert len(chosen) == 40
    print((peak[0] - base) / 1024, spent)
"""


@pytest.fixture(scope='module')
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half-precision rows around 50 means."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((ROWS, DIM), dtype=np.float32)
    table += rng.normal(size=(50, DIM)).astype(np.float32)[rng.integers(50, size=ROWS)] * 2
    found = tmp_path_factory.mktemp('table') / 'obj_feat.npy'
    np.save(found, table.astype(np.float16))
    return found


def measure(name: str, rows: int, path: Path, classes: int = 0) -> tuple[float, float]:
    """(MB of memory of the process beyond mapped files at the peak, CPU seconds) of one selection of 40 images.

    Args:
        classes: 0 = five, and OFDS without its filter by neighbours, whose time is quadratic.
    """
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(CODE), name, str(rows), str(path), str(classes)], cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return tuple(float(value) for value in done.stdout.split())  # type: ignore[return-value]


needs_proc = pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs Linux')


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize('name', ['KCenterGreedy', 'KMeansSelector', 'TypiClust', 'FreeSel', 'ZCore', 'OFDS'])
def test_memory_is_chunks_and_a_few_numbers_per_row(name: str, path: Path) -> None:
    """64 MB of chunks, 32 MB of libraries, and 150 bytes per row: with 512 MB of kept rows below 1.2 GB at 1e6 rows."""
    peak, _ = measure(name, ROWS, path)
    assert peak < 96 + 150 * ROWS / 2**20, f'{name} holds {peak:.0f} MB beyond the table'


@needs_proc
@pytest.mark.slow
def test_memory_does_not_depend_on_the_number_of_classes(path: Path) -> None:
    """The same objects in 5 and in 800 classes, filter by neighbours included: a column per class would be 122 MB."""
    few, many = (measure('OFDS', ROWS // 3, path, classes)[0] for classes in (5, 800))
    assert many < few + 32


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize('name', ['KCenterGreedy', 'KMeansSelector', 'OFDS'])
def test_time_is_linear_in_the_rows(name: str, path: Path) -> None:
    """Twice the rows at most 2.3 times the time, least of three."""
    small, large = (min(measure(name, rows, path)[1] for _ in range(3)) for rows in (ROWS // 2, ROWS))
    assert large <= 2.3 * small
