"""Pseudo boxes, and a COCO detection file of them that mmdet reads like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PseudoBoxes:
    """The pseudo-labels of one image or point cloud.

    Attributes:
        file_name: below the folder of the images. size: (height, width); ``None`` for point clouds.
        boxes: (N, 4) x1 y1 x2 y2 in pixels, or (N, 7) x, y, z, l, w, h, yaw.
        labels, scores: (N,). ignored: (N,) bool, the ignore band.
    """

    file_name: str
    size: tuple[int, ...] | None
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    ignored: NDArray[np.bool_]


def coco_record(images: Sequence[PseudoBoxes], classes: Sequence[str]) -> dict[str, Any]:
    """The content of the annotation file.

    Category ids start at 1 in the order of ``classes``. Boxes of the ignore band have ``iscrowd`` 1, which mmdet turns
    into ignored instances (its key ``ignore`` would remove them, and the region become background). Every annotation
    has its ``score``. An image without any box is listed, so that it can be trained on or left out (``filter_empty``).
    """
    annotations: list[dict[str, Any]] = []
    sizes = [image.size or (0, 0) for image in images]
    for number, image in enumerate(images, start=1):
        for box, label, score, ignored in zip(image.boxes, image.labels, image.scores, image.ignored):
            x1, y1, x2, y2 = (float(value) for value in box)
            annotations.append({
                'id': len(annotations) + 1, 'image_id': number, 'category_id': int(label) + 1,
                'bbox': [round(x1, 2), round(y1, 2), round(x2 - x1, 2), round(y2 - y1, 2)],
                'area': round((x2 - x1) * (y2 - y1), 2), 'iscrowd': int(ignored), 'score': round(float(score), 5),
            })  # fmt: skip
    return {
        'images': [{'id': number, 'file_name': image.file_name, 'height': size[0], 'width': size[1]}
                   for number, (image, size) in enumerate(zip(images, sizes), start=1)],
        'categories': [{'id': number, 'name': name} for number, name in enumerate(classes, start=1)],
        'annotations': annotations,
    }
