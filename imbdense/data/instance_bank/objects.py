"""One object of an instance bank: what was cut out, and where it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal['image', 'points']
Source = Literal['labelled', 'pseudo']
MODALITIES: tuple[Modality, ...] = ('image', 'points')
SOURCES: tuple[Source, ...] = ('labelled', 'pseudo')
BOX_SIZE = {'image': 4, 'points': 7}


class BankError(ValueError):
    """An instance bank is missing, damaged or not what was asked for; the message names the file and the cure."""


@dataclass(frozen=True, eq=False)
class BankObject:
    """A cut-out object.

    Attributes:
        values: ``image``: (h, w, bands) crop of any number type and band count, in the channel order of the image it
            was cut from; ``points``: (n, F) float32, x, y, z first, in the coordinates of the scene.
        mask: (h, w) bool, true on the object; ``None`` when only its box is known, and for points.
        klass: class index. score: confidence in [0, 1]; 1 for ground truth.
        image: name of the image or scene. source: ``'labelled'`` (annotated) or ``'pseudo'`` (predicted).
        box: of the object in its image: x1, y1, x2, y2 in pixels; in its scene: centre, size and yaw (7 numbers).
        window: (top, left) of the crop in its image; it may be larger than the box (margin). (0, 0) for points.
    """

    values: NDArray[Any]
    klass: int
    image: str
    box: tuple[float, ...]
    score: float = 1.0
    source: Source = 'labelled'
    mask: NDArray[np.bool_] | None = None
    window: tuple[int, int] = (0, 0)

    @property
    def modality(self) -> Modality:
        """``'image'`` or ``'points'``."""
        return 'image' if self.values.ndim == 3 else 'points'

    @property
    def inner_box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 of an image object's box in its crop, in whole pixels inside the crop, ends exclusive."""
        height, width = self.values.shape[:2]
        x1, y1 = int(np.floor(self.box[0])) - self.window[1], int(np.floor(self.box[1])) - self.window[0]
        x2, y2 = int(np.ceil(self.box[2])) - self.window[1], int(np.ceil(self.box[3])) - self.window[0]
        return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)

    def identity(self) -> bytes:
        """Digest of all that makes the object: equal for equal objects, whichever process cut them out."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self.image, self.klass, self.source, self.window, self.values.shape)).encode())
        digest.update(np.asarray(self.box, '<f8').tobytes() + np.float32(self.score).tobytes())
        digest.update(np.ascontiguousarray(self.values).tobytes())
        digest.update(b'' if self.mask is None else np.packbits(self.mask).tobytes())
        return digest.digest()


def check_object(item: BankObject, modality: Modality, num_classes: int) -> None:
    """Raise ``ValueError`` unless ``item`` may lie in a bank of that modality and number of classes."""
    where = f'instance bank: the object of {item.image} at {tuple(round(float(v), 1) for v in item.box)}'
    if item.modality != modality:
        raise ValueError(f'{where} has values of shape {item.values.shape}, which is no {modality} object.')
    if len(item.box) != BOX_SIZE[modality] or not np.isfinite(item.box).all():
        raise ValueError(f'{where} needs a box of {BOX_SIZE[modality]} finite numbers.')
    if not 0 <= item.klass < num_classes:
        raise ValueError(f'{where} has the class {item.klass}, outside [0, {num_classes}). Ignored objects stay out.')
    if not 0 <= item.score <= 1:
        raise ValueError(f'{where} has the score {item.score}, outside [0, 1].')
    if item.source not in SOURCES:
        raise ValueError(f'{where} has the source {item.source!r}; known are {SOURCES}.')
    if item.values.dtype.kind not in 'uif' or 0 in item.values.shape:
        raise ValueError(f'{where} has values of type {item.values.dtype} and shape {item.values.shape}: no object.')
    if modality == 'points' and item.values.dtype != np.float32:
        raise ValueError(f'{where} has points of type {item.values.dtype}; they must be float32.')
    if item.mask is not None and (item.mask.shape != item.values.shape[:2] or not item.mask.any()):
        raise ValueError(f'{where} has an empty mask, or one of {item.mask.shape} for a crop {item.values.shape}.')
