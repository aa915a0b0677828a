"""A small network with a short view, its config and checkpoint, and georeferenced scenes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = ('water', 'forest', 'field', 'town')
PALETTE = ((0, 0, 255), (0, 128, 0), (200, 200, 0), (255, 0, 0))
TRANSFORM = (2.0, 0.0, 500_000.0, 0.0, -3.0, 5_300_000.0)
"""Pixels that are not square: 2 m wide, 3 m high."""

CONFIG = """
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', mean=[100.0] * {bands}, std=[50.0] * {bands},
                           dates={dates}),
    backbone=dict(type='UNet', in_channels={channels}, base_channels=4, num_stages=2, strides=(1, 1),
                  enc_num_convs=(1, 1), dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1),
                  dec_dilations=(1,), norm_cfg=norm_cfg),
    decode_head=dict(type='{head}', in_channels=4, in_index=1, channels=4, num_classes={classes}, norm_cfg=norm_cfg,
                     align_corners=False, {options}),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
default_scope = 'mmseg'
test_dataloader = dict(dataset=dict(
    type='BaseSegDataset', metainfo=dict(classes={names}, palette={palette}),
    pipeline=[dict(type='LoadAnnotations')]))
"""


def write_model(folder: Path, *, bands: int = 3, dates: int = 1, classes: int = 4, pooling: bool = False) -> list[str]:
    """A config and random weights; [config, checkpoint]. With ``pooling`` every pixel sees the whole tile."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    folder.mkdir(parents=True, exist_ok=True)
    options = "pool_scales=(1, 2)" if pooling else 'num_convs=1, concat_input=False'
    names = CLASSES[:classes] if dates == 1 else ('unchanged', 'changed')
    text = CONFIG.format(
        bands=bands, dates=dates, channels=bands * dates, classes=classes, names=names, palette=PALETTE[: len(names)],
        head='PSPHead' if pooling else 'FCNHead', options=options,
    )  # fmt: skip
    (folder / 'config.py').write_text(text, 'utf-8')
    config = Config.fromfile(str(folder / 'config.py'))
    init_default_scope('mmseg')
    torch.manual_seed(9)  # with these weights every class occurs
    model = MODELS.build(config.model)
    for parameter in model.parameters():  # far from a tie everywhere
        if parameter.ndim == 4:
            torch.nn.init.normal_(parameter, std=0.5)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'weights.pth')
    return [str(folder / 'config.py'), str(folder / 'weights.pth')]


def scene(height: int, width: int, bands: int = 3, seed: int = 0) -> NDArray[np.uint16]:
    """Smooth patches with noise, (bands, height, width), values 10 to 250; 0 is free for "no data"."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 200, (bands, -(-height // 8), -(-width // 8)))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return (smooth + rng.integers(-10, 40, smooth.shape)).astype(np.uint16)


def write_raster(path: Path, values: NDArray[Any], **changes: Any) -> str:
    """A tiled GeoTIFF in UTM 33 N; ``changes`` replace parts of the rasterio profile."""
    import rasterio
    from rasterio.transform import Affine

    profile = {
        'driver': 'GTiff', 'height': values.shape[1], 'width': values.shape[2], 'count': values.shape[0],
        'dtype': values.dtype, 'crs': 'EPSG:32633', 'transform': Affine(*TRANSFORM), 'tiled': True, 'blockxsize': 128,
        'blockysize': 128, 'compress': 'deflate', 'nodata': 0, **changes,
    }  # fmt: skip
    with rasterio.open(path, 'w', **profile) as target:
        target.write(values)
    return str(path)


def read_map(path: Path) -> NDArray[Any]:
    """The values of a one-band map."""
    import rasterio

    with rasterio.open(path) as source:
        return source.read(1)
