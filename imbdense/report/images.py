"""Pictures of a report: overlays of labels and boxes, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import open_raster, read_window
from imbdense.data.readers.masks import trusting_pil

RGB = tuple[int, int, int]
Picture = NDArray[np.uint8]
IGNORE = 255


def read_rgb(path: Path) -> Picture:
    """Read a picture of any size, type and number of bands as RGB uint8 (H, W, 3), as :func:`to_rgb8` does; turned the
    way its EXIF says, as the hosts read it. ``OSError`` when it is not one."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with trusting_pil(), Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith(('I', 'F'))
            return to_rgb8(np.asarray(upright)) if deep else np.asarray(upright.convert('RGB'))
    except UnidentifiedImageError:
        return to_rgb8(_read_bands(path))
    except (SyntaxError, ValueError) as error:
        raise OSError(f'{path} is damaged ({error}).') from error


def _read_bands(path: Path) -> NDArray[Any]:
    """The first three bands (or the one) of a raster that PIL does not know, (H, W, bands)."""
    try:
        with open_raster(path) as source:
            size = (0, 0, source.height, source.width)
            return read_window(source, size, [1, 2, 3] if source.count >= 3 else [1])[0]
    except ImportError as error:
        raise OSError(f'{path} needs rasterio to be read.') from error


def read_index(path: Path) -> Picture:
    """Read an index mask (H, W); ``OSError`` when it is not one."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def to_rgb8(image: NDArray[Any]) -> Picture:
    """Any image (H, W[, bands]) as RGB uint8: the first three bands; other types are stretched between 2 % and 98 %."""
    data = image[..., None] if image.ndim == 2 else image
    data = np.repeat(data[..., :1], 3, axis=-1) if data.shape[-1] < 3 else data[..., :3]
    if data.dtype == np.uint8:
        return np.ascontiguousarray(data)
    values = data.astype(np.float64)
    finite = np.isfinite(values)
    low, high = np.percentile(values[finite], (2, 98)) if finite.any() else (0.0, 1.0)
    scaled = (np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12)
    return (255 * scaled.clip(0, 1)).astype(np.uint8)


def overlay_label(image: Picture, label: Picture, colours: Sequence[RGB], focus: int | None = None) -> Picture:
    """Blend the class colours over an image; class ``focus`` is strong with a white outline, ignored pixels stay."""
    out = image.astype(np.float32)
    table = np.zeros((256, 3), np.float32)
    table[: len(colours)] = colours
    known = label < len(colours)
    strength = np.where(known, 0.45, 0.0)
    if focus is not None:
        out *= 0.85
        strength = np.where(label == focus, 0.85, strength * 0.6)
    out = out * (1 - strength[..., None]) + table[label] * strength[..., None]
    if focus is not None:
        out[_outline(label == focus)] = 255
    return out.clip(0, 255).astype(np.uint8)


def draw_boxes(
    image: Picture, boxes: Sequence[Sequence[float]], colours: Sequence[RGB], texts: Sequence[str], width: int = 2
) -> Picture:
    """Draw boxes (x0, y0, x1, y1) with their texts."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for (x0, y0, x1, y1), colour, text in zip(boxes, colours, texts):
        draw.rectangle((x0, y0, max(x1, x0), max(y1, y0)), outline=colour, width=width)
        if text:
            left, top, right, bottom = draw.textbbox((x0 + 1, max(y0 - 12, 0)), text)
            draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=colour)
            ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
            draw.text((x0 + 1, max(y0 - 12, 0)), text, fill=ink)
    return np.asarray(picture)


def fit(image: Picture, side: int) -> Picture:
    """Scale so that the longer side is ``side``; small pictures are enlarged by a whole factor without smoothing."""
    from PIL import Image

    longest = max(image.shape[:2])
    if longest <= side // 2:
        factor = side // longest
        return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    if longest <= side:
        return image
    size = (max(round(image.shape[1] * side / longest), 1), max(round(image.shape[0] * side / longest), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def data_uri(image: Picture, quality: int = 82) -> str:
    """A JPEG as ``data:`` URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=quality)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')


def hex_rgb(colour: str) -> RGB:
    """'#rrggbb' to a tuple."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels just outside a region that touch it (4 neighbours)."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown & ~mask
