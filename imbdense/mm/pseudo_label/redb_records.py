"""What a ReDB round keeps of an image: boxes with their overlapped boxes counts, and which of them are found again."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference import ImageObjects
from imbdense.core.overlaps import box_iou
from imbdense.core.pseudo_label import accept, overlapped_box_count, paste_regions_for_examination
from imbdense.mm.inference.detection_head import find_head, listen, to_candidates
from imbdense.mm.inference.rescore import activated
from imbdense.mm.pseudo_label.live import LiveModel
from imbdense.mm.pseudo_label.outputs import ImageFile, Record, box_record, deciding_network
from imbdense.utils.stopwatch import Stopwatch

NO_OBJECTS = ImageObjects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))


@dataclass(frozen=True)
class Host:
    """A labelled image into which pseudo-objects are moved: file, and its annotated boxes (G, 4)."""

    path: str
    boxes: NDArray[np.float32]


def counted_record(live: LiveModel, iou_thr: float, topk: int, clock: Stopwatch, image: ImageFile) -> Record:
    """The boxes of an image, each with the number of candidates before suppression that overlap it.

    ``clock`` gets the seconds of the counting as ``count``.
    """
    network = deciding_network(live.model)
    with listen(network) as take:
        sample = live.sample(image.path)
        raw = take()
    record = box_record(sample)
    with clock.measure('count'):
        facts = find_head(network)[1]
        candidates = to_candidates(raw, NO_OBJECTS, image.name, facts.channels)
        scores = activated(candidates, facts)
        proposals = candidates.boxes
        if proposals.shape[1] != 4:  # a RoI head regresses a box per class
            best = scores.argmax(axis=1)
            proposals = proposals.reshape(len(scores), -1, 4)[np.arange(len(scores)), best]
        record['overlap_count'] = overlapped_box_count(record['boxes'], proposals, scores, iou_thr, topk)
    return record


def examined_record(
    live: LiveModel, image: ImageFile, record: Record, chosen: NDArray[np.bool_], hosts: Sequence[Host],
    iou_thr: float, score_thr: float,
) -> Record:  # fmt: skip
    """Which of the ``chosen`` boxes the model finds again, with their class, in the surroundings of a labelled image.

    The labelled image is picked by the name of the image. ``accepted`` (N,) is False where nothing was chosen.
    """
    accepted = np.zeros(len(chosen), bool)
    if not chosen.any():
        return {'accepted': accepted}
    host = hosts[zlib.crc32(image.name.encode()) % len(hosts)]
    loaded = live.load(host.path)
    picture = live.load(image.path)['img']
    scene = paste_regions_for_examination(picture, loaded['img'], record['boxes'][chosen], host_boxes=host.boxes)
    found = _from_score(box_record(live.predict({**loaded, 'img': scene.image})), score_thr)
    accepted[chosen] = accept(
        box_iou(found['boxes'].astype(np.float64), scene.boxes), iou_thr, pred_labels=found['labels'],
        pseudo_labels=record['labels'][chosen],
    )  # fmt: skip
    return {'accepted': accepted}


def _from_score(record: Record, least: float) -> dict[str, Any]:
    """The boxes with at least that score."""
    keep = record['scores'] >= least
    return {'boxes': record['boxes'][keep], 'labels': record['labels'][keep]}
