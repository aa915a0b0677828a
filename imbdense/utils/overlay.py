"""Draw labels and boxes over an image, with a legend; PIL and NumPy only."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]


def distinct_colours(count: int) -> list[Colour]:
    """``count`` colours that differ in hue (golden-ratio steps), the same on every call."""
    colours = []
    for index in range(count):
        channels = colorsys.hsv_to_rgb((index * 0.61803398875) % 1.0, 0.65 + 0.2 * (index % 2), 0.95)
        colours.append(tuple(round(255 * channel) for channel in channels))
    return colours  # type: ignore[return-value]


def draw_labels(
    image: NDArray[np.uint8],
    label: NDArray[Any],
    classes: Sequence[str],
    palette: Sequence[Colour],
    *,
    opacity: float = 0.5,
) -> Image:
    """Blend the class colours of ``label`` (H, W) into ``image`` (H, W, 3) RGB and add a legend on the right.

    The legend names the classes that occur, with their share of the pixels, most frequent first. Values outside the
    class list (ignored pixels) stay uncoloured.
    """
    from PIL import Image

    valid = label < len(classes)
    colours = np.asarray([*palette, (0, 0, 0)], np.float32)
    painted = colours[np.where(valid, label, len(classes))]
    strength = np.where(valid, opacity, 0.0)[..., None]
    blended = Image.fromarray((image * (1 - strength) + painted * strength).astype(np.uint8))
    counts = np.bincount(label[valid].ravel(), minlength=len(classes))
    entries = [
        (f'{classes[c]} {_percent(counts[c] / label.size)}', palette[c]) for c in np.argsort(-counts) if counts[c] > 0
    ]
    return with_legend(blended, entries)


def draw_boxes(
    image: NDArray[np.uint8],
    boxes: NDArray[Any],
    labels: NDArray[Any],
    scores: NDArray[Any],
    classes: Sequence[str],
    palette: Sequence[Colour],
) -> Image:
    """Draw boxes (N, 4) x1 y1 x2 y2 on ``image`` (H, W, 3) RGB, each with its score, and add a legend with counts."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    width = max(1, round(max(canvas.size) / 500))
    for box, label, score in zip(boxes, labels, scores):
        colour = tuple(palette[int(label)])
        draw.rectangle([float(v) for v in box], outline=colour, width=width)
        draw.text((float(box[0]) + 2, max(0.0, float(box[1]) - 11)), f'{score:.2f}', fill=colour)
    counts = np.bincount(np.asarray(labels, np.int64), minlength=len(classes))
    return with_legend(canvas, [(f'{classes[c]} {n}', palette[c]) for c, n in enumerate(counts) if n > 0])


def with_legend(image: Image, entries: Sequence[tuple[str, Colour]]) -> Image:
    """Append a white column with one coloured square and text per entry."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=13)
    column = 40 + max((int(font.getlength(text)) for text, _ in entries), default=60)
    canvas = PillowImage.new('RGB', (image.width + column, max(image.height, 20 * len(entries) + 10)), 'white')
    canvas.paste(image, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for row, (text, colour) in enumerate(entries):
        top = 6 + 20 * row
        draw.rectangle([image.width + 8, top, image.width + 22, top + 14], fill=tuple(colour), outline='black')
        draw.text((image.width + 28, top), text, fill='black', font=font)
    return canvas


def _percent(share: float) -> str:
    """A share as text; small ones keep a digit, for the rare classes are the small ones."""
    return f'{share:.0%}' if share >= 0.1 else f'{share:.2%}'
