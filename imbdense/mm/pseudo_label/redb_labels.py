"""The training labels of a ReDB round: by score, or with rejected boxes ignored, merged with those of rounds before."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imbdense.core.pseudo_label import MemoryEnsemble
from imbdense.data.pseudo import PseudoBoxes
from imbdense.mm.pseudo_label.boxes import pseudo_boxes
from imbdense.mm.pseudo_label.redb_filters import JudgedImage
from imbdense.utils.files import atomic_write_bytes, atomic_write_json

LABELS, MEMORY = 'pseudo_labels.json', 'memory.pt'


def write_labels(
    folder: Path, judged: Sequence[JudgedImage], to_json: Callable[[Sequence[PseudoBoxes]], dict[str, Any]],
    on_reject: str, memory: MemoryEnsemble | None,
) -> None:  # fmt: skip
    """Write the labels of all images, and what the memory then holds.

    Args:
        to_json: makes the content of the file.
        on_reject: 'ignore' = boxes that the examination rejected are ignored; 'pool' = they stay positive.
        memory: of the rounds before; it is updated. ``None`` = every round stands alone.
    """
    labels = list(_by_status(judged, on_reject))
    if memory is not None:
        labels = list(merged_labels(labels, memory))
        content = io.BytesIO()
        torch.save(memory.state_dict(), content)
        atomic_write_bytes(folder / MEMORY, content.getvalue())
    atomic_write_json(folder / LABELS, to_json(labels))


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


def load_memory(memory: MemoryEnsemble, number: int, before: Path) -> MemoryEnsemble:
    """The (empty) memory as round ``number`` meets it: empty in round 0, else what the round in folder ``before`` left.

    Raises:
        ValueError: that round kept none.
    """
    if number > 0:
        if not (before / MEMORY).is_file():
            raise ValueError(
                f'PseudoLabelRoundHook: round {number} merges its labels with those of the round before, but '
                f'{before / MEMORY} is missing. Use the memory from round 0 on, in one work_dir, or leave it out.'
            )
        memory.load_state_dict(torch.load(before / MEMORY, weights_only=True))
    return memory


def read_coco(content: Mapping[str, Any]) -> Iterator[PseudoBoxes]:
    """The labels of every image of a COCO file that a round wrote."""
    own: dict[int, list[dict[str, Any]]] = {image['id']: [] for image in content['images']}
    for item in content['annotations']:
        own[item['image_id']].append(item)
    for image in content['images']:
        yield _read_boxes(image, own[image['id']])


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
