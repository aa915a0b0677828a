"""Write the kept images of an evaluation: window of the image, label masks, and ``index.json``."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from imbdense.mm.hooks.kept_images import KeptImages
from imbdense.utils.files import atomic_write_bytes, atomic_write_json


def write_pictures(
    kept: KeptImages, names: Sequence[str], shown: Sequence[int], folder: Path, split: str, step: int
) -> None:
    """Write ``<class>_<role>_<n>_{image,truth,prediction}.png`` and ``index.json``; the former evaluation is replaced.

    An image that cannot be read again is left out with a warning.
    """
    records = []
    written = set()
    for c in shown:
        for role in ('worst', 'showcase'):
            for number, (_, entry) in enumerate(kept.entries.get((role, c), ())):
                stem = f'{split}_{c}_{re.sub("[^A-Za-z0-9]+", "-", names[c])}_{role}_{number}'
                try:
                    image = read_window(Path(entry['path']), entry['window'])
                except (OSError, ValueError) as error:
                    MMLogger.get_current_instance().warning(
                        f'ReportHook: {entry["path"]} left out of the report: {error}'
                    )
                    continue
                record = {
                    'class': names[c], 'role': role, 'split': split, 'step': step, 'file': Path(entry['path']).name,
                    'image': f'{stem}_image.png',
                }  # fmt: skip
                atomic_write_bytes(folder / record['image'], _png(image))
                for part in ('truth', 'prediction'):
                    if part in entry:
                        record[part] = f'{stem}_{part}.png'
                        atomic_write_bytes(folder / record[part], entry[part])
                written |= {record[part] for part in ('image', 'truth', 'prediction') if part in record}
                records.append(record | {k: v for k, v in entry.items() if k not in ('path', 'truth', 'prediction')})
    atomic_write_json(folder / 'index.json', records)
    for path in folder.glob('*.png'):
        if path.name not in written:
            with contextlib.suppress(OSError):
                path.unlink()


def read_window(path: Path, window: Sequence[int]) -> NDArray[np.uint8]:
    """Read the window (y0, x0, y1, x1) of an image as RGB uint8; rasters with other types are stretched.

    Raises:
        OSError: the file cannot be read.
    """
    y0, x0, y1, x1 = window
    try:
        from PIL import Image

        with Image.open(path) as image:
            if image.mode in ('L', 'P', 'RGB', 'RGBA', '1'):
                return np.asarray(image.crop((x0, y0, x1, y1)).convert('RGB'))
    except OSError:
        if path.suffix.lower() not in ('.tif', '.tiff', '.vrt', '.jp2'):
            raise
    return _read_raster(path, (y0, x0, y1, x1))


def _read_raster(path: Path, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The same with rasterio: first three bands, stretched between their 2 % and 98 % quantiles."""
    try:
        import rasterio
        from rasterio.windows import Window
    except ImportError as error:
        raise OSError('reading this raster needs rasterio (pip install rasterio)') from error
    y0, x0, y1, x1 = window
    try:
        with rasterio.open(path) as raster:
            bands = list(range(1, min(raster.count, 3) + 1)) if raster.count >= 3 else [1]
            data: Any = raster.read(bands, window=Window(x0, y0, x1 - x0, y1 - y0)).astype(np.float64)
    except rasterio.errors.RasterioError as error:
        raise OSError(str(error)) from error
    good = data[np.isfinite(data)]
    low, high = np.percentile(good, (2, 98)) if good.size else (0.0, 1.0)
    scaled = 255 * ((np.nan_to_num(data, nan=low) - low) / max(high - low, 1e-12)).clip(0, 1)
    rgb = np.moveaxis(scaled.astype(np.uint8), 0, -1)
    return np.repeat(rgb, 3, axis=-1) if rgb.shape[-1] == 1 else rgb


def _png(image: NDArray[np.uint8]) -> bytes:
    """Encode as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG', compress_level=4)
    return buffer.getvalue()
