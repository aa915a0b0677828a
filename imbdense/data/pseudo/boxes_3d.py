"""Pseudo boxes of point clouds as a JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from imbdense.data.pseudo.coco import PseudoBoxes

FORMAT = 'imbdense boxes 3d 1'


def boxes_3d_record(scenes: Sequence[PseudoBoxes], classes: Sequence[str]) -> dict[str, Any]:
    """The content of the file: every scene with its boxes (x, y, z, l, w, h, yaw), labels, scores and ignore flags."""
    return {
        'format': FORMAT, 'classes': list(classes),
        'scenes': [
            {'file_name': scene.file_name, 'boxes': np.round(scene.boxes.astype(np.float64), 5).tolist(),
             'labels': scene.labels.tolist(), 'scores': np.round(scene.scores.astype(np.float64), 5).tolist(),
             'ignored': scene.ignored.tolist()}
            for scene in scenes
        ],
    }  # fmt: skip


def read_boxes_3d(content: Mapping[str, Any]) -> Iterator[PseudoBoxes]:
    """The scenes of :func:`boxes_3d_record`.

    Raises:
        ValueError: it is of another format.
    """
    if content.get('format') != FORMAT:
        raise ValueError(f'expected pseudo boxes of the format {FORMAT!r}, but got {content.get("format")!r}.')
    for scene in content['scenes']:
        yield PseudoBoxes(
            scene['file_name'], None, np.array(scene['boxes'], np.float32).reshape(-1, 7),
            np.array(scene['labels'], np.int64), np.array(scene['scores'], np.float32),
            np.array(scene['ignored'], bool),
        )  # fmt: skip
