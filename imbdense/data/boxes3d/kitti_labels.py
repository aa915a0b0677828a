"""Label files of KITTI: one object a line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.boxes3d.kitti_calib import KittiError
from imbdense.utils.files import atomic_write_text

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KittiLabels:
    """The objects of a scene, in the order of the file; also ``DontCare`` regions.

    Attributes:
        names: G class names. truncation: (G,) in [0, 1]. occlusion: (G,) int64 0 to 3. alpha: (G,) observation angle.
        image_boxes: (G, 4) x1, y1, x2, y2 in pixels.
        camera_boxes: (G, 7) x, y, z, h, w, l, rotation, see :func:`~imbdense.data.boxes3d.camera_to_lidar`.
        scores: (G,) of predictions, else ``None``.
    """

    names: tuple[str, ...]
    truncation: Floats
    occlusion: NDArray[np.int64]
    alpha: Floats
    image_boxes: Floats
    camera_boxes: Floats
    scores: Floats | None = None

    def __len__(self) -> int:
        """G."""
        return len(self.names)


def read_labels(path: str | os.PathLike[str]) -> KittiLabels:
    """Read a label file, or a file of predictions (16 instead of 15 words a line).

    Raises:
        KittiError: it can not be read, or a line has other words; the message names the line.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise KittiError(f'{path} can not be read ({error.strerror}).') from error
    names, rows = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            rows.append([float(word) for word in words[1:]])
        except ValueError as error:
            raise KittiError(f'{path}, line {number}: {error}.') from error
        if len(words) not in (15, 16) or len(rows[-1]) != len(rows[0]):
            raise KittiError(
                f'{path}, line {number}: expected 15 words (16 with a score, then in every line), but there are '
                f'{len(words)}.'
            )
        names.append(words[0])
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 14)
    return KittiLabels(
        tuple(names), table[:, 0], table[:, 1].astype(np.int64), table[:, 2], table[:, 3:7],
        table[:, [10, 11, 12, 7, 8, 9, 13]], table[:, 14] if table.shape[1] == 15 else None,
    )  # fmt: skip


def write_labels(path: str | os.PathLike[str], labels: KittiLabels) -> None:
    """Write a label file; numbers with four digits after the point (KITTI's own files have two)."""
    lines = []
    for row, name in enumerate(labels.names):
        box = labels.camera_boxes[row]
        numbers = [labels.alpha[row], *labels.image_boxes[row], *box[3:6], *box[:3], box[6]]
        numbers += [] if labels.scores is None else [labels.scores[row]]
        lines.append(
            f'{name} {labels.truncation[row]:.2f} {int(labels.occlusion[row])} '
            + ' '.join(f'{value:.4f}' for value in numbers) + '\n'
        )  # fmt: skip
    atomic_write_text(path, ''.join(lines))
