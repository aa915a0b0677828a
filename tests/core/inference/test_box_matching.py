"""Matching and AP against COCO's own evaluation, and the sum over images that cross-validation needs."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import (
    ImageDetections,
    ImageObjects,
    average_precision,
    class_matches,
    match_boxes,
)
from imbdense.core.inference.detection_set import class_average_precision, mean_average_precision


def scene(seed: int, images: int = 12, classes: int = 3) -> tuple[list[ImageDetections], list[ImageObjects]]:
    """Random objects, some of them crowds, and noisy detections with many equal scores."""
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for _ in range(images):
        amount = int(rng.integers(0, 8))
        corner, size = rng.random((amount, 2)) * 60, 8 + rng.random((amount, 2)) * 25
        boxes = np.concatenate([corner, corner + size], axis=1)
        labels = rng.integers(0, classes, amount)
        objects.append(ImageObjects(boxes, labels, rng.random(amount) < 0.15))
        again = np.repeat(np.arange(amount), rng.integers(0, 4, amount))
        shifted = boxes[again] + rng.normal(size=(again.size, 4)) * 3
        noise_corner = rng.random((5, 2)) * 60
        noise = np.concatenate([noise_corner, noise_corner + 12], axis=1)
        found = np.concatenate([shifted, noise])
        wrong = rng.random(len(found)) < 0.2
        label = np.where(wrong, rng.integers(0, classes, len(found)),
                         np.concatenate([labels[again], rng.integers(0, classes, 5)]))
        scores = rng.integers(1, 20, len(found)) / 20
        order = np.argsort(-scores, kind='stable')
        detections.append(ImageDetections(found[order], label[order].astype(np.int64), scores[order]))
    return detections, objects


def coco_precision(detections: list[ImageDetections], objects: list[ImageObjects], classes: int) -> np.ndarray:
    """AP per class and IoU threshold by pycocotools through our own reader."""
    pytest.importorskip('pycocotools')
    from imbdense.mm.metrics.coco_records import clean_ground_truth
    from imbdense.mm.metrics.coco_tables import evaluate_coco

    def xywh(box: np.ndarray) -> list[float]:
        return [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]

    truth = clean_ground_truth({
        'images': [{'id': i, 'width': 100, 'height': 100} for i in range(len(objects))],
        'categories': [{'id': c, 'name': str(c)} for c in range(classes)],
        'annotations': [
            {'image_id': i, 'category_id': int(c), 'bbox': xywh(b), 'iscrowd': int(ig)}
            for i, one in enumerate(objects) for b, c, ig in zip(one.boxes, one.labels, one.ignored)
        ],
    })  # fmt: skip
    found = [
        {'image_id': i, 'category_id': int(c), 'bbox': xywh(b), 'score': float(s)}
        for i, one in enumerate(detections) for b, c, s in zip(one.boxes, one.labels, one.scores)
    ]
    table = evaluate_coco(truth, found, list(range(classes)), engine='pycocotools').precision[:, :, :, 0, -1]
    return np.where((table > -1).any(axis=1), table.mean(axis=1), np.nan)


@pytest.mark.parametrize('seed', range(6))
def test_equals_coco(seed: int) -> None:
    detections, objects = scene(seed)
    ours = np.stack([entry.average_precision() for entry in class_matches(detections, objects, 3)], axis=1)
    theirs = coco_precision(detections, objects, 3)
    assert np.allclose(ours, theirs, atol=1e-9, equal_nan=True)


def test_any_set_of_images_is_the_evaluation_of_those_images() -> None:
    detections, objects = scene(1)
    keep = np.array([i % 3 == 0 for i in range(len(objects))])
    whole = class_matches(detections, objects, 3)
    part = class_matches([d for d, k in zip(detections, keep) if k], [o for o, k in zip(objects, keep) if k], 3)
    first, second = class_average_precision(whole, keep), class_average_precision(part)
    assert np.allclose(first, second, equal_nan=True)
    assert mean_average_precision(whole, keep, level=0) >= mean_average_precision(whole, keep)


def test_hand_example() -> None:
    # hit (.9), false (.8), hit (.7), two objects: precision 1 to recall .5, then 2/3: 51 and 50 of 101 points
    flags = np.array([[1, 0, 1]], dtype=np.int8)
    assert average_precision([0.9, 0.8, 0.7], flags, 2)[0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert np.isnan(average_precision([0.9], flags[:, :1], 0)[0])
    assert average_precision([], np.zeros((1, 0), dtype=np.int8), 2)[0] == 0.0


def test_one_object_is_found_once_and_a_crowd_absorbs() -> None:
    overlaps = np.array([[0.9], [0.8]])
    assert match_boxes(overlaps, np.array([False]), np.array([0.5])).tolist() == [[1, 0]]
    assert match_boxes(overlaps, np.array([True]), np.array([0.5])).tolist() == [[-1, -1]]
