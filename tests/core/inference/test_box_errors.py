"""One detection of each TIDE type, by hand, and what mending wins."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import ImageDetections, ImageObjects, box_errors

BOX = [0.0, 0.0, 10.0, 10.0]


def objects(*items: tuple[list[float], int], ignored: tuple[bool, ...] | None = None) -> ImageObjects:
    boxes = np.array([box for box, _ in items], dtype=float).reshape(-1, 4)
    labels = np.array([label for _, label in items], dtype=np.int64)
    return ImageObjects(boxes, labels, np.array(ignored or [False] * len(items), dtype=bool))


def found(*items: tuple[list[float], int, float]) -> ImageDetections:
    boxes = np.array([box for box, _, _ in items], dtype=float).reshape(-1, 4)
    return ImageDetections(
        boxes, np.array([label for _, label, _ in items], dtype=np.int64), np.array([s for *_, s in items], dtype=float)
    )


CASES = {
    'Cls': found((BOX, 1, 0.9)),
    'Loc': found(([6.0, 0.0, 16.0, 10.0], 0, 0.9)),  # IoU .25
    'Both': found(([6.0, 0.0, 16.0, 10.0], 1, 0.9)),
    'Bkg': found(([50.0, 50.0, 60.0, 60.0], 0, 0.9)),
    'Dupe': found((BOX, 0, 0.9), (BOX, 0, 0.8)),
    'Miss': found(),
}


@pytest.mark.parametrize('name', list(CASES))
def test_each_type_by_hand(name: str) -> None:
    errors = box_errors([CASES[name]], [objects((BOX, 0))], 2)
    counted = {kind: int(values.sum()) for kind, values in errors.counts.items() if values.sum()}
    expected = {name: 1}
    if name in ('Both', 'Bkg'):  # these explain no object, so the object is missed as well
        expected['Miss'] = 1
    assert counted == expected


def test_mending_one_type() -> None:
    # Class 0 has two objects: one found, one called class 1. Class 1 has one object, found, below that false alarm.
    truth = objects((BOX, 0), ([20.0, 0.0, 30.0, 10.0], 0), ([40.0, 0.0, 50.0, 10.0], 1))
    detections = found((BOX, 0, 0.9), ([20.0, 0.0, 30.0, 10.0], 1, 0.8), ([40.0, 0.0, 50.0, 10.0], 1, 0.7))
    errors = box_errors([detections], [truth], 2)
    assert errors.ap == pytest.approx([51 / 101, 0.5])
    assert errors.delta_ap['Cls'] == pytest.approx([50 / 101, 0.5])  # now both classes are perfect
    assert all(not errors.delta_ap[name].any() for name in ('Loc', 'Both', 'Dupe', 'Bkg', 'Miss'))


def test_missed_objects_are_not_asked_for() -> None:
    truth = objects((BOX, 0), ([50.0, 50.0, 60.0, 60.0], 0))
    errors = box_errors([found((BOX, 0, 0.9))], [truth], 1)
    assert errors.ap[0] == pytest.approx(51 / 101) and errors.delta_ap['Miss'][0] == pytest.approx(50 / 101)
    nothing = box_errors([found()], [truth], 1)
    assert nothing.delta_ap['Miss'][0] == 1.0


def test_ignored_objects_are_no_error_and_absent_classes_nan() -> None:
    errors = box_errors([found((BOX, 0, 0.9))], [objects((BOX, 0), ignored=(True,))], 2)
    assert not any(values.sum() for values in errors.counts.values())
    assert np.isnan(errors.ap).all()
    with pytest.raises(ValueError, match='no image'):
        box_errors([], [], 2)
