"""Try each library in a process of its own, so that one that crashes or hangs cannot take the others along.

A probe is a few lines of Python that really use the library and print one line about it. Used by ``imbdense doctor``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Probe:
    """What to try and what to do when it is not there.

    Attributes:
        module: import name; the probe is skipped as absent when it cannot be found.
        group: extra of ``setup.py`` that brings it.
        code: Python source; prints one line on success, raises on failure.
        install: command that installs it.
        purpose: what imbdense uses it for.
        name: shown name, if it differs from ``module``.
    """

    module: str
    group: str
    code: str
    install: str
    purpose: str
    name: str = ''

    @property
    def label(self) -> str:
        """The name to show."""
        return self.name or self.module


@dataclass(frozen=True)
class Outcome:
    """What came of a probe: ``state`` is 'works', 'absent', 'broken', 'crashed' or 'timeout'; ``detail`` one line."""

    probe: Probe
    state: str
    detail: str = ''
    output: str = field(default='', repr=False)
    seconds: float = 0.0

    @property
    def works(self) -> bool:
        """True if the library did what the probe asked."""
        return self.state == 'works'


def _pip(requirement: str) -> str:
    """The install command that is shown for a plain package."""
    return f'pip install "{requirement}"'


_NMS = """
import torch
from mmcv.ops import nms
boxes, scores = torch.tensor([[0., 0., 9., 9.], [1., 1., 9., 9.]]), torch.tensor([.9, .8])
assert nms(boxes, scores, 0.5)[1].tolist() == [0]
print('nms on the CPU', end='')
if torch.cuda.is_available():
    assert nms(boxes.cuda(), scores.cuda(), 0.5)[1].tolist() == [0]
    print(' and on the GPU', end='')
"""
_TORCH = """
import torch
assert (torch.ones(2) @ torch.ones(2)).item() == 2
if not torch.cuda.is_available():
    print('computes; no CUDA device, everything runs on the CPU')
else:
    try:
        assert (torch.ones(64, 64, device='cuda') @ torch.ones(64, 64, device='cuda')).sum().item() == 64 ** 3
        total = torch.cuda.mem_get_info()[1] / 2**30
        print(f'computes on {torch.cuda.get_device_name()} ({total:.0f} GiB, CUDA {torch.version.cuda})')
    except Exception as error:
        print(f'computes on the CPU; the CUDA device fails: {str(error).splitlines()[0]}')
"""
_RASTERIO = """
import numpy as np, rasterio
from rasterio.io import MemoryFile
with MemoryFile() as memory:
    with memory.open(driver='GTiff', width=4, height=4, count=1, dtype='uint8') as target:
        target.write(np.full((1, 4, 4), 7, np.uint8))
    with memory.open() as source:
        assert (source.read(1) == 7).all()
print(f'writes and reads GeoTIFF, GDAL {rasterio.__gdal_version__}')
"""
_FAISS = """
import numpy as np, faiss
index = faiss.IndexFlatL2(4)
index.add(np.eye(4, dtype=np.float32))
assert index.search(np.eye(4, dtype=np.float32), 1)[1].ravel().tolist() == [0, 1, 2, 3]
print('nearest neighbours')
"""
_NUMBA = """
import numba
assert numba.njit(lambda n: n + 1)(1) == 2
print('compiles')
"""
_LASPY = """
import io, numpy as np, laspy
las = laspy.create(point_format=6, file_version='1.4')
las.x = np.arange(3.0)
stream = io.BytesIO()
las.write(stream)
stream.seek(0)
assert list(laspy.read(stream).x) == [0, 1, 2]
print('writes and reads LAS')
"""
_LAZRS = """
import io, numpy as np, laspy, lazrs
las = laspy.create(point_format=6, file_version='1.4')
las.x = np.arange(3.0)
stream = io.BytesIO()
las.write(stream, do_compress=True)
stream.seek(0)
assert list(laspy.read(stream).x) == [0, 1, 2]
print('packs and unpacks LAZ')
"""
_PY4DGEO = """
import numpy as np
from imbdense.core.change3d.m3c2_py4dgeo import quiet_py4dgeo
py4dgeo = quiet_py4dgeo()
rng = np.random.default_rng(0)
plane = np.column_stack([10 * rng.random((4000, 2)), 0.01 * rng.standard_normal(4000)])
epochs = (py4dgeo.Epoch(plane), py4dgeo.Epoch(plane + [0, 0, 1]))
distance, _ = py4dgeo.M3C2(epochs=epochs, corepoints=np.array([[5.0, 5.0, 0.0]]), cyl_radius=1.0, normal_radii=(1.5,),
                           max_distance=3.0).run()
assert abs(distance[0] - 1) < 0.01
print('M3C2 distances')
"""
_SPCONV = """
import torch
from imbdense.nn.sparse.spconv_backend import self_test
print(self_test('cuda' if torch.cuda.is_available() else 'cpu'))
"""
_PGEOF = """
import numpy as np, pgeof
line = np.zeros((8, 3), np.float32)
line[:, 0] = np.arange(8)
near, _ = pgeof.knn_search(line, line, 4)
found = pgeof.compute_features(line, near.ravel().astype(np.uint32), 4 * np.arange(9, dtype=np.uint32), k_min=1)
assert (found[:, 0] > 0.9).all()
print('linearity of a line')
"""
_REGISTRY = """
import os
import sys
os.chdir('/')  # what lies in the working directory does not count
sys.path[:] = [entry for entry in sys.path if entry]
from mmengine.registry import MODELS
with MODELS.switch_scope_and_registry('imbdense') as registry:
    assert registry.scope == 'imbdense', 'mmengine does not find imbdense.registry'
print("type='imbdense.X' resolves")
"""

BUILD_MMCV = 'pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps onedl-mmcv'

PROBES: tuple[Probe, ...] = (
    Probe('torch', 'base', _TORCH, _pip('torch>=2.4'), 'everything'),
    Probe('numpy', 'base', 'import numpy; print("imports")', _pip('numpy'), 'everything'),
    Probe('scipy', 'base', 'import scipy.ndimage, scipy.sparse; print("imports")', _pip('scipy'), 'everything'),
    Probe('rich', 'base', 'import rich.table; print("imports")', _pip('rich'), 'tables, progress'),
    Probe('PIL', 'base', 'from PIL import Image; print(Image.new("L", (2, 2)).size == (2, 2) and "draws")',
          _pip('Pillow'), 'pictures'),
    Probe('matplotlib', 'base', 'import matplotlib; matplotlib.use("Agg"); import matplotlib.pyplot; print("imports")',
          _pip('matplotlib'), 'plots'),
    Probe('cv2', 'base', 'import cv2, numpy as n; ok, _ = cv2.imencode(".png", n.zeros((4, 4), n.uint8)); assert ok; '
          'print("encodes PNG")', _pip('opencv-python'), 'decoding, drawing'),
    Probe('mmengine', 'mm', 'from mmengine import Config; print(Config(dict(a=1)).a == 1 and "imports")',
          _pip('onedl-mmengine'), 'runner, registry, configs'),
    Probe('mmcv', 'mm', _NMS, BUILD_MMCV, 'compiled ops (NMS, RoI align)', name='mmcv.ops'),
    Probe('mmdet', 'mm', 'import mmdet.models, mmdet.evaluation; print("imports")', _pip('onedl-mmdetection'),
          'detection'),
    Probe('mmseg', 'mm', 'import mmseg.models, mmseg.evaluation; print("imports")', _pip('onedl-mmsegmentation'),
          'segmentation'),
    Probe('imbdense', 'mm', _REGISTRY, 'pip install --no-deps -e .', 'our components in the hosts', name='registry'),
    Probe('pycocotools', 'mm', 'import pycocotools.mask; print("imports")', _pip('pycocotools'), 'COCO masks'),
    Probe('rasterio', 'geo', _RASTERIO, _pip('rasterio'), 'GeoTIFF'),
    Probe('open3d', 'points', 'import open3d as o; print(len(o.geometry.PointCloud().points) == 0 and "imports")',
          _pip('open3d-cpu'), 'point clouds'),
    Probe('laspy', 'points', _LASPY, _pip('laspy[lazrs]'), 'LAS files'),
    Probe('lazrs', 'points', _LAZRS, _pip('lazrs'), 'packed LAS files (LAZ)'),
    Probe('py4dgeo', 'change3d', _PY4DGEO, _pip('py4dgeo'), '3-D change (else in numpy, slower)'),
    Probe('spconv', 'sparse', _SPCONV, _pip('spconv'), 'sparse convolution on a GPU (else in torch)'),
    Probe('albumentations', 'aug', 'import albumentations as a; a.HorizontalFlip(); print("imports")',
          _pip('albumentations==2.0.8'), 'augmentation'),
    Probe('numba', 'fast', _NUMBA, _pip('numba'), 'faster counting'),
    Probe('deflate', 'fast', 'import deflate; assert deflate.zlib_decompress(deflate.zlib_compress(b"a"), 1) == b"a"; '
          'print("inflates")', _pip('deflate'), 'faster label scans'),
    Probe('faster_coco_eval', 'fast', 'import faster_coco_eval; print("imports")', _pip('faster-coco-eval'),
          'faster COCO evaluation'),
    Probe('faiss', 'fast', _FAISS, _pip('faiss-cpu'), 'nearest neighbours'),
    Probe('nibabel', 'medical', 'import nibabel; print("imports")', _pip('nibabel'), 'NIfTI volumes'),
    Probe('sklearn', 'dev', 'import sklearn.metrics; print("imports")', _pip('scikit-learn'), 'peer in benchmarks'),
    Probe('pgeof', 'dev', _PGEOF, _pip('pgeof'), 'peer of the local geometry of points'),
)


def run_probe(probe: Probe, timeout: float = TIMEOUT_SECONDS) -> Outcome:
    """Run one probe in its own process and say what came of it; never raises for what the library does."""
    began = time.monotonic()
    finder = f'import importlib.util, sys\nif importlib.util.find_spec({probe.module!r}) is None: sys.exit(77)\n'
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MPLBACKEND': 'Agg'}
    try:
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', finder + probe.code], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors='replace', timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return Outcome(probe, 'timeout', f'no answer within {timeout:.0f} s', '', time.monotonic() - began)
    seconds = time.monotonic() - began
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return Outcome(probe, 'works', _last(done.stdout), output, seconds)
    if done.returncode == 77:
        return Outcome(probe, 'absent', 'not installed', output, seconds)
    if done.returncode < 0:
        return Outcome(probe, 'crashed', f'killed by {_signal(-done.returncode)}', output, seconds)
    return Outcome(probe, 'broken', _last(done.stderr), output, seconds)


def run_probes(probes: Sequence[Probe] = PROBES, timeout: float = TIMEOUT_SECONDS) -> list[Outcome]:
    """Run the probes side by side, as many as there are cores (at least two), and return them in their order."""
    workers = max(2, min(8, os.cpu_count() or 2))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda probe: run_probe(probe, timeout), probes))


def _last(text: str) -> str:
    """The last line that holds something: of a traceback, the exception."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), '')


def _signal(number: int) -> str:
    """``11`` -> ``SIGSEGV``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'
