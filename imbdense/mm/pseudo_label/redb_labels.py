"""The training labels of a ReDB round: by score, or with rejected boxes ignored, merged with those of rounds before."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imbdense.core.pseudo_label import MemoryEnsemble
from imbdense.data.pseudo import PseudoBoxes, coco_record
from imbdense.mm.pseudo_label.boxes import pseudo_boxes
from imbdense.mm.pseudo_label.outputs import ImageFile
from imbdense.mm.pseudo_label.redb_filters import JudgedImage
from imbdense.utils.files import atomic_write_bytes, atomic_write_json

LABELS, MEMORY = 'pseudo_labels.json', 'memory.pt'


def write_labels(
    folder: Path, judged: Sequence[JudgedImage], classes: Sequence[str], on_reject: str, memory: MemoryEnsemble | None
) -> None:
    """Write the labels of all images, and what the memory then holds.

    Args:
        on_reject: 'ignore' = boxes that the examination rejected are ignored; 'pool' = they stay positive.
        memory: of the rounds before; it is updated. ``None`` = every round stands alone.
    """
    labels = list(_by_status(judged, on_reject))
    if memory is not None:
        labels = list(merged_labels(labels, memory))
        content = io.BytesIO()
        torch.save(memory.state_dict(), content)
        atomic_write_bytes(folder / MEMORY, content.getvalue())
    atomic_write_json(folder / LABELS, coco_record(labels, classes))


def merged_labels(labels: Iterable[PseudoBoxes], memory: MemoryEnsemble) -> Iterator[PseudoBoxes]:
    """The labels of each image as the memory has them after seeing these."""
    for one in labels:
        signed = np.where(one.ignored, -1, 1) * (one.labels + 1)
        merged = memory.update(one.file_name, one.boxes, one.scores, signed)
        now = memory.training_labels(merged)
        yield PseudoBoxes(
            one.file_name, one.size, merged.boxes.astype(np.float32), np.abs(now) - 1,
            merged.scores.astype(np.float32), now < 0,
        )  # fmt: skip


def load_memory(options: Mapping[str, Any], number: int, before: Path) -> MemoryEnsemble:
    """The memory as round ``number`` meets it: empty in round 0, else what the round in folder ``before`` left.

    Raises:
        ValueError: that round kept none.
    """
    memory = MemoryEnsemble(**options)
    if number > 0:
        if not (before / MEMORY).is_file():
            raise ValueError(
                f'PseudoLabelRoundHook: round {number} merges its labels with those of the round before, but '
                f'{before / MEMORY} is missing. Use the memory from round 0 on, in one work_dir, or leave it out.'
            )
        memory.load_state_dict(torch.load(before / MEMORY, weights_only=True))
    return memory


def read_labels(folder: Path, images: Sequence[ImageFile]) -> dict[str, PseudoBoxes]:
    """Path of an image -> its labels of a complete round; broken images are not in it."""
    content = json.loads((folder / LABELS).read_text(encoding='utf-8'))
    own: dict[int, list[dict[str, Any]]] = {image['id']: [] for image in content['images']}
    for item in content['annotations']:
        own[item['image_id']].append(item)
    path_of = {image.file_name: str(image.path) for image in images}
    return {path_of[image['file_name']]: _read_boxes(image, own[image['id']]) for image in content['images']}


def _read_boxes(image: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> PseudoBoxes:
    """The labels of one image of a COCO file."""
    corners = np.array([item['bbox'] for item in items], np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return PseudoBoxes(
        image['file_name'], (image['height'], image['width']), corners,
        np.array([item['category_id'] - 1 for item in items], np.int64),
        np.array([item['score'] for item in items], np.float32), np.array([item['iscrowd'] for item in items], bool),
    )  # fmt: skip


def _by_status(judged: Iterable[JudgedImage], on_reject: str) -> Iterator[PseudoBoxes]:
    """Labels of the images: by score alone, or with rejected boxes ignored."""
    for one in judged:
        rejected = (one.status == 1) & ~one.accepted & (on_reject == 'ignore')
        yield pseudo_boxes(one.image, one.record, np.where(rejected, np.int8(-1), one.status))
