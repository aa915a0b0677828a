"""Pseudo-boxes merged over the rounds."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch

from imbdense.core.overlaps import box_iou
from imbdense.core.pseudo_label import MemoryEnsemble, RememberedBoxes

CAR = [0, 0, 10, 10.0]
NEAR = [1, 0, 11, 10.0]  # IoU with CAR 9 / 11
FAR = [50, 50, 60, 60.0]
NONE = np.zeros((0, 4))
ALL = pytest.mark.parametrize('matching', ['consistency', 'bipartite', 'nms'])


def box_set(boxes, scores, labels, counters=None) -> RememberedBoxes:
    return RememberedBoxes.of(boxes, scores, labels, counters)


@ALL
def test_a_vanished_box_is_ignored_then_removed(matching: str) -> None:
    memory = MemoryEnsemble(matching)
    seen = [memory.update('a', [CAR], [0.9], [2])]
    for _ in range(3):
        seen.append(memory.update('a', NONE, [], []))
    assert [m.counters.tolist() for m in seen] == [[0], [1], [2], []]
    assert [memory.training_labels(m).tolist() for m in seen] == [[2], [2], [-2], []]


@ALL
def test_the_same_while_other_boxes_are_predicted(matching: str) -> None:
    memory = MemoryEnsemble(matching)
    memory.update('a', [CAR, FAR], [0.9, 0.5], [1, 3])
    counters = [memory.update('a', [FAR], [0.6], [3]).counters.tolist() for _ in range(3)]
    assert counters == [[1, 0], [2, 0], [0]]
    assert memory.frames['a'].boxes.tolist() == [FAR] and memory.frames['a'].scores.tolist() == [0.6]


@ALL
def test_seen_again_resets_the_counter_and_the_use(matching: str) -> None:
    memory = MemoryEnsemble(matching)
    memory.update('a', [CAR], [0.9], [1])
    memory.update('a', NONE, [], [])
    ignored = memory.update('a', NONE, [], [])
    assert memory.training_labels(ignored).tolist() == [-1]
    back = memory.update('a', [NEAR], [0.4], [1])
    assert back.counters.tolist() == [0] and back.boxes.tolist() == [CAR] and back.scores.tolist() == [0.9]
    assert memory.training_labels(back).tolist() == [1], 'the old box stays, since its score is higher'


@ALL
def test_the_higher_score_stays_and_the_old_one_of_equals(matching: str) -> None:
    memory = MemoryEnsemble(matching)
    old = box_set([CAR], [0.5], [1])
    assert memory.merge(old, box_set([NEAR], [0.6], [1])).boxes.tolist() == [NEAR]
    assert memory.merge(old, box_set([NEAR], [0.5], [1])).boxes.tolist() == [CAR]
    lower = memory.merge(box_set([CAR], [0.3], [-1]), box_set([NEAR], [0.6], [1]))
    assert lower.labels.tolist() == [1], 'the label comes with the box: out of the ignored band'


@ALL
def test_classes_do_not_meet(matching: str) -> None:
    merged = MemoryEnsemble(matching).merge(box_set([CAR], [0.5], [1]), box_set([CAR], [0.9], [2]))
    assert merged.labels.tolist() == [1, 2] and merged.counters.tolist() == [1, 0]


@ALL
def test_empty_sides(matching: str) -> None:
    memory = MemoryEnsemble(matching)
    nothing, something = box_set(NONE, [], []), box_set([CAR, FAR], [0.9, 0.8], [1, -2])
    assert memory.merge(nothing, something) is something
    aged = memory.merge(something, nothing)
    assert aged.counters.tolist() == [1, 1] and aged.labels.tolist() == [1, -2]
    assert np.array_equal(aged.boxes, something.boxes)
    assert len(memory.merge(nothing, nothing)) == 0
    in_space = memory.merge(box_set(np.ones((2, 7)), [0.5, 0.4], [1, 1]), nothing)
    assert in_space.boxes.shape == (2, 7), 'nothing is compared, so also the first boxes of a run stay as they are'


def test_several_old_boxes_share_a_new_one_only_by_consistency() -> None:
    old, new = box_set([CAR, NEAR], [0.5, 0.4], [1, 1]), box_set([CAR], [0.9], [1])
    assert MemoryEnsemble('consistency').merge(old, new).scores.tolist() == [0.9, 0.9]
    one = MemoryEnsemble('bipartite').merge(old, new)
    assert one.scores.tolist() == [0.9, 0.4] and one.counters.tolist() == [0, 1]
    assert MemoryEnsemble('nms').merge(old, new).scores.tolist() == [0.9]


def test_bipartite_has_the_largest_sum() -> None:
    """Greedily the first old box takes what the second one needs."""
    table = np.array([[0.6, 0.5], [0.5, 0.0]])
    memory = MemoryEnsemble('bipartite', iou=lambda a, b: table)
    merged = memory.merge(box_set([CAR, CAR], [0.1, 0.1], [1, 1]), box_set([NEAR, FAR], [0.5, 0.6], [1, 1]))
    assert merged.boxes.tolist() == [FAR, NEAR] and merged.counters.tolist() == [0, 0]


def test_threshold() -> None:
    old, new = box_set([CAR], [0.5], [1]), box_set([[5, 0, 15, 10]], [0.9], [1])  # IoU 1 / 3
    assert MemoryEnsemble(iou_thr=1 / 3).merge(old, new).counters.tolist() == [0]
    assert MemoryEnsemble(iou_thr=0.34).merge(old, new).counters.tolist() == [1, 0]


@pytest.mark.parametrize('matching', ['consistency', 'bipartite'])
def test_average(matching: str) -> None:
    memory = MemoryEnsemble(matching, average=True)
    merged = memory.merge(box_set([CAR, FAR], [0.2, 0.0], [-1, 1]), box_set([NEAR, FAR], [0.6, 0.0], [1, 1]))
    assert merged.boxes == pytest.approx(np.array([[0.75, 0, 10.75, 10], FAR]))
    assert merged.scores == pytest.approx([(0.04 + 0.36) / 0.8, 0.0]) and merged.labels.tolist() == [1, 1]


def test_angles_are_averaged_on_the_circle() -> None:
    old, new = np.array([[0, 0, 0, 4, 2, 1.6, math.pi - 0.1]]), np.array([[0, 0, 0, 4, 2, 1.6, 0.1 - math.pi]])
    memory = MemoryEnsemble(average=True, yaw_column=6, iou=lambda a, b: np.ones((len(a), len(b))))
    merged = memory.merge(box_set(old, [0.5], [1]), box_set(new, [0.5], [1]))
    assert abs(merged.boxes[0, 6]) == pytest.approx(math.pi)


def slow_consistency(old: RememberedBoxes, new: RememberedBoxes) -> list[tuple]:
    rows = []
    for box, score, label, counter in zip(old.boxes, old.scores, old.labels, old.counters, strict=True):
        best, overlap = None, 0.0
        for j in range(len(new)):
            value = box_iou(box[None], new.boxes[j][None])[0, 0]
            if abs(new.labels[j]) == abs(label) and value > overlap:
                best, overlap = j, value
        if best is None or overlap < 0.1:
            if counter + 1 < 3:
                rows.append((tuple(box), score, label, counter + 1))
            continue
        better = new.scores[best] > score
        rows.append((tuple(new.boxes[best] if better else box), max(score, new.scores[best]),
                     new.labels[best] if better else label, 0))  # fmt: skip
    for box, score, label in zip(new.boxes, new.scores, new.labels, strict=True):
        own = np.abs(old.labels) == abs(label)
        if box_iou(box[None], old.boxes[own]).max(initial=0.0) < 0.1:
            rows.append((tuple(box), score, label, 0))
    return rows


def test_a_second_box_on_an_old_object_is_new_only_to_bipartite() -> None:
    """As released: the old car overlaps both boxes by .1 and more, so neither is an object of its own."""
    old, new = box_set([CAR], [0.5], [1]), box_set([NEAR, [5, 0, 15, 10]], [0.9, 0.6], [1, 1])
    assert MemoryEnsemble('consistency').merge(old, new).scores.tolist() == [0.9]
    assert MemoryEnsemble('bipartite').merge(old, new).scores.tolist() == [0.9, 0.6]


def test_consistency_against_loops() -> None:
    rng = np.random.default_rng(0)

    def some(size: int, counters: bool) -> RememberedBoxes:
        corner = rng.uniform(0, 60, (size, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 30, (size, 2))], axis=1)
        labels = rng.integers(1, 4, size) * rng.choice([-1, 1], size)
        return box_set(boxes, rng.random(size), labels, rng.integers(0, 3, size) if counters else None)

    for _ in range(30):
        old, new = some(12, True), some(9, False)
        merged = MemoryEnsemble().merge(old, new)
        rows = zip(map(tuple, merged.boxes), merged.scores, merged.labels, merged.counters, strict=True)
        assert list(rows) == slow_consistency(old, new)


def test_state_survives_a_checkpoint() -> None:
    memory = MemoryEnsemble()
    memory.update('a', [CAR, FAR], [0.9, 0.8], [1, -2])
    memory.update('empty', NONE, [], [])
    memory.update('b', [NEAR], [0.7], [3])
    memory.update('a', NONE, [], [])
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    other = MemoryEnsemble()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert list(other.frames) == ['a', 'empty', 'b']
    for name in memory.frames:
        for field in ('boxes', 'scores', 'labels', 'counters'):
            assert np.array_equal(getattr(other.frames[name], field), getattr(memory.frames[name], field))
    both = [m.update('a', [NEAR], [0.95], [1]) for m in (memory, other)]
    assert both[0].counters.tolist() == both[1].counters.tolist() == [0, 2]


def test_empty_state_and_one_that_does_not_fit() -> None:
    memory = MemoryEnsemble()
    state = memory.state_dict()
    memory.update('a', [CAR], [0.9], [1])
    memory.load_state_dict(state)
    assert memory.frames == {}
    with pytest.raises(ValueError, match='does not fit together'):
        memory.load_state_dict({**state, 'frames': ['a']})


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='matching'):
        MemoryEnsemble('greedy')
    with pytest.raises(ValueError, match='average=True needs pairs'):
        MemoryEnsemble('nms', average=True)
    with pytest.raises(ValueError, match='remove_after'):
        MemoryEnsemble(ignore_after=4, remove_after=3)
    with pytest.raises(ValueError, match='Add one to class indices'):
        MemoryEnsemble().update('a', [CAR], [0.5], [0])
    with pytest.raises(ValueError, match=r'iou must return \(1, 1\)'):
        MemoryEnsemble(iou=lambda a, b: np.ones(1)).merge(box_set([CAR], [0.5], [1]), box_set([CAR], [0.5], [1]))
    with pytest.raises(ValueError, match='one score, label and counter per box'):
        MemoryEnsemble().update('a', [CAR], [0.5, 0.4], [1])
