"""Memory of a prediction knows nothing of the size of the raster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import resource, sys, time
from pathlib import Path
import rasterio, torch
from imbdense.benchmark.speed_cases.raster import PointwiseNetwork, predict_map

torch.set_num_threads(1)
folder, rows, columns, bands, classes, tile = sys.argv[1], *map(int, sys.argv[2:7])
mode, overlap, panel = sys.argv[7], int(sys.argv[8]), int(sys.argv[9]) or None
path = f'{folder}/sparse_{rows}_{columns}.tif'
with rasterio.open(path, 'w', driver='GTiff', height=rows, width=columns, count=bands, dtype='uint8', tiled=True,
                   blockxsize=512, blockysize=512, compress='deflate', sparse_ok=True, bigtiff='YES'):
    pass  # no block is written: every pixel reads as 0
start, clock = time.process_time(), time.monotonic()
network = PointwiseNetwork(bands, classes, tile)
found = predict_map(path, Path(folder) / f'map_{rows}', network, mode, overlap, threads=1, block_size=panel)
seconds = time.process_time() - start
with rasterio.open(found) as source:
    assert source.shape == (rows, columns)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds, time.monotonic() - clock)
"""


def peak(folder: Path, rows: int, columns: int, panel: int = 4096) -> float:
    """Peak memory in MiB of a process that maps 3 bands to 5 classes in blended tiles of 512; panel 0 = the default."""
    arguments = [str(value) for value in (folder, rows, columns, 3, 5, 512, 'blend', 128, panel)]
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', SCRIPT, *arguments], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    return float(done.stdout.split()[0]) / 1024


@pytest.mark.slow
def test_peak_is_flat_from_4096_to_16384(tmp_path: Path) -> None:
    """Within 10 %, sixteen times the pixels in panels of 4096 columns: their number and height cost nothing."""
    small, large = peak(tmp_path, 4096, 4096), peak(tmp_path, 16_384, 16_384)
    assert large < 1.1 * small, f'{small:.0f} MiB, then {large:.0f} MiB'


@pytest.mark.slow
def test_rows_cost_nothing_with_the_default_panels(tmp_path: Path) -> None:
    """Columns do, until a panel is as wide as its 256 MB allow."""
    low, high = peak(tmp_path, 2048, 4096, 0), peak(tmp_path, 12_288, 4096, 0)
    assert high < 1.1 * low, f'{low:.0f} MiB, then {high:.0f} MiB'
