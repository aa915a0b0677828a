"""Which detections match an object at one IoU threshold: COCO's rule, for recall at fixed false positives per image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Pair = tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]


@dataclass
class Matches:
    """Detections of one category over all images.

    Attributes:
        scores: of the detections that count. matched: whether each found an object. objects: number of objects.
    """

    scores: list[float] = field(default_factory=list)
    matched: list[bool] = field(default_factory=list)
    objects: int = 0


def match_detections(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    *,
    iou_type: str = 'bbox',
    max_dets: int = 100,
    threshold: float = 0.5,
) -> dict[int, Matches]:
    """Match the detections of every category at one IoU threshold.

    Detections by falling score; each takes the free object it overlaps most. Crowds absorb any number of detections,
    which then count neither way. Detections beyond ``max_dets`` per image and category are left out.

    Args:
        ground_truth, detections: as for :func:`imbdense.mm.metrics.coco_tables.evaluate_coco`.

    Returns:
        category id -> :class:`Matches`; categories without objects and detections are missing.
    """
    pairs: dict[tuple[int, Any], Pair] = defaultdict(lambda: ([], []))
    for annotation in ground_truth['annotations']:
        pairs[annotation['category_id'], annotation['image_id']][0].append(annotation)
    for detection in detections:
        pairs[detection['category_id'], detection['image_id']][1].append(detection)
    sizes = {image['id']: (image.get('height'), image.get('width')) for image in ground_truth['images']}
    result: dict[int, Matches] = defaultdict(Matches)
    for (category, image), (objects, found) in pairs.items():
        objects = sorted(objects, key=lambda annotation: annotation['iscrowd'])
        found = sorted(found, key=lambda detection: -detection['score'])[:max_dets]
        crowd = [bool(annotation['iscrowd']) for annotation in objects]
        overlaps = _overlaps(found, objects, iou_type, sizes[image]) if found and objects else [[]] * len(found)
        tally = result[category]
        tally.objects += crowd.count(False)
        for detection, verdict in zip(found, _greedy(overlaps, crowd, threshold)):
            if verdict is not None:
                tally.scores.append(float(detection['score']))
                tally.matched.append(verdict)
    return dict(result)


def _greedy(overlaps: list[list[float]], crowd: list[bool], threshold: float) -> list[bool | None]:
    """True = matched, False = false positive, None = fell on a crowd. Objects come before crowds."""
    limit = min(threshold, 1 - 1e-10)
    taken = [False] * len(crowd)
    verdicts: list[bool | None] = []
    for row in overlaps:
        best, best_overlap = -1, limit
        for place, overlap in enumerate(row):
            if crowd[place] and best >= 0 and not crowd[best]:
                break  # an object is preferred to any crowd
            if overlap >= best_overlap and not taken[place]:
                best, best_overlap = place, overlap
        if best < 0:
            verdicts.append(False)
        elif crowd[best]:
            verdicts.append(None)
        else:
            taken[best] = True
            verdicts.append(True)
    return verdicts


def _overlaps(
    found: list[Mapping[str, Any]], objects: list[Mapping[str, Any]], iou_type: str, size: tuple[Any, Any]
) -> list[list[float]]:
    """IoU of every detection with every object; for crowds the intersection over the detection, as in COCO."""
    from pycocotools import mask as masks

    if iou_type == 'bbox':
        sides = [np.array([item['bbox'] for item in side], dtype=np.float64) for side in (found, objects)]
    else:
        sides = [[compressed(item['segmentation'], size) for item in side] for side in (found, objects)]
    overlaps: list[list[float]] = masks.iou(*sides, [int(annotation['iscrowd']) for annotation in objects]).tolist()
    return overlaps


def compressed(shape: Any, size: tuple[Any, Any]) -> Any:
    """Polygons and uncompressed runs as the compressed RLE that pycocotools compares."""
    from pycocotools import mask as masks

    if isinstance(shape, list):
        return masks.merge(masks.frPyObjects(shape, *size))
    return masks.frPyObjects(shape, *shape['size']) if isinstance(shape['counts'], list) else shape
