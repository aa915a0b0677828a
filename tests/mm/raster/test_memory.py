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
folder, side, bands, classes, tile, mode, overlap = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6], int(sys.argv[7])
path = f'{folder}/sparse_{side}.tif'
with rasterio.open(path, 'w', driver='GTiff', height=side, width=side, count=bands, dtype='uint8', tiled=True,
                   blockxsize=512, blockysize=512, compress='deflate', sparse_ok=True, bigtiff='YES'):
    pass  # no block is written: every pixel reads as 0
start, clock = time.process_time(), time.monotonic()
network = PointwiseNetwork(bands, classes, tile)
found = predict_map(path, Path(folder) / f'map_{side}', network, mode, overlap, threads=1, block_size=4096)
seconds = time.process_time() - start
with rasterio.open(found) as source:
    assert source.shape == (side, side)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, seconds, time.monotonic() - clock)
"""


def peak(folder: Path, side: int, bands: int = 3, classes: int = 5, tile: int = 512, mode: str = 'blend',
         overlap: int = 128) -> float:
    """Peak memory in MiB of a process that predicts side² pixels."""
    arguments = [str(value) for value in (folder, side, bands, classes, tile, mode, overlap)]
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', SCRIPT, *arguments], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    return float(done.stdout.split()[0]) / 1024


@pytest.mark.slow
def test_peak_is_flat_from_4096_to_16384(tmp_path: Path) -> None:
    """Within 10 %, sixteen times the pixels in panels of 4096 columns: their number and height cost nothing."""
    small, large = peak(tmp_path, 4096), peak(tmp_path, 16_384)
    assert large < 1.1 * small, f'{small:.0f} MiB, then {large:.0f} MiB'
