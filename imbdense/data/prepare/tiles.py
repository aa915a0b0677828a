"""Cut big images and their masks into tiles, resumable per source image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.pixels import RGB, check_same_size, colours_to_index, read_image, windows
from imbdense.utils.files import atomic_write_bytes


@dataclass(frozen=True)
class ColourCode:
    """The colour table of a data set: mask colour -> class index, and the palette to draw with."""

    colours: Mapping[RGB, int]
    palette: Sequence[RGB]
    tolerance: int = 0


def write_tiles(job: Job, image_path: Path, mask_path: Path, split: str, code: ColourCode) -> None:
    """Cut one image and its colour-coded mask, see :func:`cut_image`."""
    cut_image(
        job, image_path, mask_path, split, code.palette,
        lambda: colours_to_index(read_image(mask_path), code.colours, path=mask_path, tolerance=code.tolerance))


def cut_image(
    job: Job, image_path: Path, mask_path: Path, split: str, palette: Sequence[RGB],
    read_label: Callable[[], NDArray[Any]],
) -> None:  # fmt: skip
    """Cut one image and its label into ``images/<split>/<stem>_<y>_<x>.png`` and the label of the same name.

    Windows without a labelled pixel are left out. A marker in ``.prepare/`` says that the image is finished, so a
    killed run repeats at most one image. ``read_label`` gives the class indices (H, W) of ``mask_path``.
    """
    stem = image_path.stem
    marker = f'.prepare/{split}_{stem}.done'
    if job.done(marker):
        return
    image, label = read_image(image_path), read_label()
    check_same_size(image, label, image_path, mask_path)
    for y0, x0, y1, x1 in windows(*label.shape, job.tile, job.overlap):
        part = label[y0:y1, x0:x1]
        if (part == IGNORE).all():
            continue
        name = f'{stem}_{y0}_{x0}.png' if job.tile else f'{stem}.png'
        job.write_image(f'images/{split}/{name}', image[y0:y1, x0:x1])
        job.write_label(f'labels/{split}/{name}', part, palette)
    atomic_write_bytes(job.out / marker, b'')


def write_window(source: Path, target: Path, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> None:
    """Write one window of a GeoTIFF as GeoTIFF with its own transform; the data type and no-data value stay."""
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.windows import Window

    y0, x0, y1, x1 = box
    window = Window(x0, y0, x1 - x0, y1 - y0)
    with rasterio.open(source) as raster:
        if (raster.height, raster.width) != shape:
            raise PrepareError(f'{source} is {(raster.height, raster.width)} but its mask is {shape} (rows, columns).')
        profile: dict[str, Any] = dict(raster.profile)
        for key in ('tiled', 'blockxsize', 'blockysize'):
            profile.pop(key, None)
        profile.update(
            width=x1 - x0, height=y1 - y0, transform=raster.window_transform(window), driver='GTiff', compress='deflate'
        )
        data = raster.read(window=window)
    with MemoryFile() as memory:
        with memory.open(**profile) as writer:
            writer.write(data)
        atomic_write_bytes(target, bytes(memory.getbuffer()))
