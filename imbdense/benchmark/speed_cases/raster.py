"""Prediction of large images: sliding windows in memory, and whole GeoTIFFs from file to file."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close

CLASSES, CROP, STRIDE = 19, 512, 341
SIDE = 2048


@lru_cache(maxsize=1)
def _network() -> torch.nn.Conv2d:
    """A 1 x 1 convolution, so that only the work around the network shows."""
    torch.manual_seed(0)
    return torch.nn.Conv2d(3, CLASSES, 1).eval().requires_grad_(False)


def _image(scale: float) -> Tensor:
    """(1, 3, H, W) noise."""
    side = int(SIDE * scale**0.5)
    return torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(0))


def slide_mmseg(scale: float) -> Workload:
    """Mean logits of all windows, as mmseg's EncoderDecoder makes them."""
    from mmseg.models.segmentors import EncoderDecoder

    from imbdense.core.inference.slide_mean import slide_mean

    network, image = _network(), _image(scale)
    host = SimpleNamespace(
        test_cfg=SimpleNamespace(stride=(STRIDE, STRIDE), crop_size=(CROP, CROP)), out_channels=CLASSES,
        encode_decode=lambda inputs, metas: network(inputs),
    )  # fmt: skip

    def check(ours: Tensor, peer: Tensor) -> str:
        if not torch.equal(ours, peer):
            raise Unequal('logits differ')
        return 'logits equal bit for bit'

    return Workload(
        lambda: slide_mean(network, image, (CROP, CROP), (STRIDE, STRIDE)),
        lambda: EncoderDecoder.slide_inference(host, image, [{}]), check,
    )


def slide_monai(scale: float) -> Workload:
    """The same against MONAI's sliding_window_inference with constant weights; its grid ends the same way."""
    from monai.inferers import sliding_window_inference

    from imbdense.core.inference.slide_mean import slide_mean

    network, image = _network(), _image(scale)

    def peer() -> Tensor:
        # MONAI: stride = int(crop * (1 - overlap)); this overlap gives 341.
        return sliding_window_inference(image, (CROP, CROP), 1, network, overlap=1 - (STRIDE + 0.5) / CROP)

    def check(ours: Tensor, other: Tensor) -> str:
        return require_close('logits', ours, other, 1e-4)

    return Workload(lambda: slide_mean(network, image, (CROP, CROP), (STRIDE, STRIDE)), peer, check)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where the rasters of this module live until the process ends."""
    return tempfile.TemporaryDirectory(prefix='imbdense-raster-')


def _raster(scale: float) -> str:
    """A tiled three-band uint8 GeoTIFF."""
    import rasterio
    from rasterio.transform import Affine

    side = int(SIDE * scale**0.5)
    path = f'{_folder().name}/scene_{side}.tif'
    if not Path(path).exists():
        rng = np.random.default_rng(0)
        with rasterio.open(
            path, 'w', driver='GTiff', height=side, width=side, count=3, dtype='uint8', tiled=True, blockxsize=512,
            blockysize=512, compress='deflate', crs='EPSG:32633', transform=Affine(1, 0, 5e5, 0, -1, 5e6),
        ) as target:  # fmt: skip
            coarse = rng.integers(0, 256, (3, -(-side // 16), -(-side // 16)), dtype=np.uint8)
            target.write(coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :side, :side])
    return path


class PointwiseNetwork:
    """What :class:`imbdense.mm.raster.RasterNetwork` is to the raster code: scores of tiles, here of one convolution.

    Args:
        channels, classes: of the 1 x 1 convolution. tile: side of the tiles.
    """

    comparison, preprocess, land_cover, land_cover_palette = None, None, (), None

    def __init__(self, channels: int = 3, classes: int = CLASSES, tile: int = CROP) -> None:
        from imbdense.core.inference.map_layers import ScoreGroup

        self.groups, self.device, self.tile = (ScoreGroup('label', classes),), torch.device('cpu'), tile
        self.classes, self.palette = [f'class {k}' for k in range(classes)], []
        self.facts = {'checkpoint': '', 'config': ''}
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(channels, classes, 1).eval().requires_grad_(False)

    def prepare(self, values: Any, valid: Any) -> Tensor:
        """Bytes to -1 ... 1."""
        return torch.from_numpy(values).float().sub_(127.5).div_(127.5)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Scores."""
        with torch.inference_mode():
            return self.convolution(inputs)


def predict_map(
    path: str,
    out: Path,
    network: Any,
    mode: str,
    overlap: int | None,
    threads: int = 0,
    block_size: int | None = None,
) -> Path:
    """GeoTIFF to label GeoTIFF with the code of `imbdense predict raster`; starts anew."""
    import shutil

    from imbdense.data.raster.reader import RasterStack, small_cache
    from imbdense.mm.raster import make_plan, predict_units, start_job, write_maps

    shutil.rmtree(out, ignore_errors=True)
    with small_cache():
        stack = RasterStack([path], list(range(1, network.convolution.in_channels + 1)))
        plan = make_plan(network, stack.channels, stack.grid, mode, None, overlap)
        job = start_job(network, stack, plan, out / 'units', ['label'], block_size)
        predict_units(job, job.store.layout.units(), threads=threads)
        files = write_maps(job, out)
        stack.close()
    return files['label']


def whole_raster(scale: float) -> Workload:
    """File to file: blended probabilities against what one writes with MONAI and rasterio."""
    import rasterio
    from monai.inferers import sliding_window_inference

    path, out, network = _raster(scale), Path(_folder().name) / f'ours_{scale}', PointwiseNetwork()

    def peer() -> Path:
        target = Path(_folder().name) / f'peer_{scale}.tif'
        with rasterio.open(path) as source, torch.inference_mode():
            image = torch.from_numpy(source.read()).float().sub_(127.5).div_(127.5)[None]
            scores = sliding_window_inference(
                image, (CROP, CROP), 1, lambda x: network.convolution(x).softmax(1), overlap=0.25, mode='gaussian'
            )
            label = scores.argmax(1)[0].to(torch.uint8).numpy()
            profile = {**source.profile, 'count': 1, 'nodata': 255, 'driver': 'COG'}
            for key in ('blockxsize', 'blockysize', 'tiled', 'interleave'):
                profile.pop(key, None)
            with rasterio.open(target, 'w', **profile) as file:
                file.write(label, 1)
        return target

    def check(ours: Path, other: Path) -> str:
        with rasterio.open(ours) as one, rasterio.open(other) as two:
            differing = float((one.read(1) != two.read(1)).mean())
        if differing > 1e-3:  # the windows are weighted differently, which a pointwise network does not notice
            raise Unequal(f'{differing:.2%} of the labels differ')
        return f'labels equal but for {differing:.1e}'

    return Workload(lambda: predict_map(path, out, network, 'blend', 128), peer, check)


def aligned_rows(scale: float) -> Workload:
    """Every block of 512² with 64 pixels of context at each side: block rows read once against window by window."""
    import rasterio

    from imbdense.data.raster.reader import RasterStack, RowFeed

    path, side = _noisy_raster(scale)
    spans = [(max(start - 64, 0), min(start + 576, side)) for start in range(0, side, 512)]

    def ours() -> int:
        total, stack = 0, RasterStack([path], [1, 2, 3, 4])
        with RowFeed(stack, 0, side, 0, side, 0) as feed:
            for top, bottom in spans:
                values, _ = feed.rows(top, bottom)
                total += sum(int(values[0, 0, left]) + values[:, :, left:right].nbytes for left, right in spans)
        stack.close()
        return total

    def peer() -> int:
        total = 0
        with rasterio.open(path) as source:
            for rows in spans:
                for columns in spans:
                    values = source.read(window=(rows, columns))
                    total += int(values[0, 0, 0]) + values.nbytes
        return total

    def check(one: int, two: int) -> str:
        if one != two:
            raise Unequal('the windows differ')
        return 'windows begin with the same values'

    return Workload(ours, peer, check)


def _noisy_raster(scale: float) -> tuple[str, int]:
    """A tiled four-band uint8 GeoTIFF of noise, and its side."""
    import rasterio

    side = int(6144 * scale**0.5)
    path = f'{_folder().name}/noise_{side}.tif'
    if not Path(path).exists():
        rng = np.random.default_rng(0)
        with rasterio.open(path, 'w', driver='GTiff', height=side, width=side, count=4, dtype='uint8', tiled=True,
                           blockxsize=512, blockysize=512, compress='deflate') as target:
            for band in range(1, 5):
                target.write(rng.integers(0, 64, (side, side), dtype=np.uint8), band)
    return path, side


CASES = (
    SpeedCase('slide-mmseg', 'sliding windows of 512 over 3 x 2048², 19 classes, 1x1 network', 'mmseg slide_inference',
              0.15, slide_mmseg, peer_repeats=2),
    SpeedCase('slide-monai', 'the same windows', 'MONAI sliding_window_inference', 1.1, slide_monai),
    SpeedCase('raster-monai', 'GeoTIFF 3 x 2048² to blended label GeoTIFF', 'rasterio + MONAI + rasterio', 1.1,
              whole_raster, repeats=5),
    SpeedCase('raster-reading', '4-band GeoTIFF 6144², blocks of 512 with 64 pixels of context',
              'rasterio, window by window', 0.5, aligned_rows, growth=None, repeats=5, peer_repeats=3),
)  # fmt: skip
