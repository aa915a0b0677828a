"""Cross-domain examination: who is confirmed, and the image that is examined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.overlaps import box_iou, region_iou
from imbdense.core.pseudo_label import accept, paste_regions_for_examination

OFFICIAL = dict(class_aware=False, unique=False)


def volume_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Upright boxes x, y, z, l, w, h."""
    low = np.maximum(first[:, None, :3] - first[:, None, 3:] / 2, second[None, :, :3] - second[None, :, 3:] / 2)
    high = np.minimum(first[:, None, :3] + first[:, None, 3:] / 2, second[None, :, :3] + second[None, :, 3:] / 2)
    inter = (high - low).clip(min=0).prod(axis=2)
    return inter / (first[:, 3:].prod(1)[:, None] + second[:, 3:].prod(1)[None] - inter)


def test_hand_example_of_boxes_in_space() -> None:
    pseudo = np.array([[0, 0, 0, 4, 2, 1.6]])
    near, far = pseudo + [0.5, 0, 0, 0, 0, 0], pseudo + [1.0, 0, 0, 0, 0, 0]
    assert volume_iou(near, pseudo)[0, 0] == pytest.approx(3.5 / 4.5)
    assert volume_iou(far, pseudo)[0, 0] == pytest.approx(3 / 5)
    assert accept(volume_iou(near, pseudo), 0.7, class_aware=False).tolist() == [True]
    assert accept(volume_iou(far, pseudo), 0.5, class_aware=False).tolist() == [True]
    assert accept(volume_iou(far, pseudo), 0.7, class_aware=False).tolist() == [False]


def test_published_form_confirms_the_best_of_each_prediction() -> None:
    overlaps = [[0.8, 0.7, 0.0], [0.9, 0.6, 0.0], [0.0, 0.0, 0.4]]
    assert accept(overlaps, 0.5, **OFFICIAL).tolist() == [True, False, False]
    one_to_one = accept(overlaps, 0.5, class_aware=False)
    assert one_to_one.tolist() == [True, True, False], 'the second prediction took the first box, so the other is free'


def test_one_prediction_confirms_one_pseudo_label() -> None:
    for unique in (True, False):
        assert accept([[0.8, 0.7]], 0.5, class_aware=False, unique=unique).tolist() == [True, False]
    assert accept([[0.5, 0.5]], 0.5, class_aware=False).tolist() == [True, False], 'of equals the first'


def test_class_aware() -> None:
    overlaps = [[0.9, 0.6]]
    labels = dict(pred_labels=[1], pseudo_labels=torch.tensor([0, 1]))
    for unique in (True, False):
        assert accept(overlaps, 0.5, **labels, unique=unique).tolist() == [False, True]
        assert accept(overlaps, 0.7, **labels, unique=unique).tolist() == [False, False]
        assert accept(overlaps, 0.5, **labels, class_aware=False, unique=unique).tolist() == [True, False]


def slow_official(overlaps, labels, pseudo, thr, class_aware):
    confirmed = [False] * len(pseudo)
    for row, label in zip(overlaps, labels, strict=True):
        allowed = [j for j in range(len(pseudo)) if not class_aware or pseudo[j] == label]
        best = max(allowed, key=lambda j: row[j], default=None)
        if best is not None and row[best] >= thr:
            confirmed[best] = True
    return confirmed


def slow_one_to_one(overlaps, labels, pseudo, thr, class_aware):
    pairs = [
        (-overlaps[i][j], i, j)
        for i in range(len(labels)) for j in range(len(pseudo))
        if overlaps[i][j] >= thr and (not class_aware or pseudo[j] == labels[i])
    ]  # fmt: skip
    used, confirmed = set(), [False] * len(pseudo)
    for _, i, j in sorted(pairs):
        if i not in used and not confirmed[j]:
            used.add(i)
            confirmed[j] = True
    return confirmed


@pytest.mark.parametrize('class_aware', [True, False])
def test_against_loops(class_aware: bool) -> None:
    rng = np.random.default_rng(0)
    differ = 0
    for _ in range(50):
        overlaps, labels, pseudo = rng.random((7, 5)) ** 2, rng.integers(0, 2, 7), rng.integers(0, 2, 5)
        given = dict(pred_labels=labels, pseudo_labels=pseudo, class_aware=class_aware)
        official = accept(torch.from_numpy(overlaps), 0.4, **given, unique=False)
        unique = accept(overlaps, 0.4, **given)
        assert official.tolist() == slow_official(overlaps, labels, pseudo, 0.4, class_aware)
        assert unique.tolist() == slow_one_to_one(overlaps, labels, pseudo, 0.4, class_aware)
        differ += official.tolist() != unique.tolist()
    assert differ > 5


@pytest.mark.parametrize('unique', [True, False])
def test_no_prediction_rejects_all_and_no_pseudo_label_accepts_nothing(unique: bool) -> None:
    assert accept(np.zeros((0, 3)), class_aware=False, unique=unique).tolist() == [False] * 3
    assert accept(np.zeros((2, 0)), class_aware=False, unique=unique).shape == (0,)
    assert accept(torch.zeros(0, 0), class_aware=False, unique=unique).dtype == np.bool_
    assert accept(np.zeros((0, 2)), pred_labels=[], pseudo_labels=[0, 1], unique=unique).tolist() == [False, False]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='needs pred_labels'):
        accept([[0.5]])
    with pytest.raises(ValueError, match='2 pred_labels'):
        accept([[0.5]], pred_labels=[0, 1], pseudo_labels=[0])
    with pytest.raises(ValueError, match='1 values that are not finite'):
        accept([[float('nan')]], class_aware=False)
    with pytest.raises(ValueError, match='iou_thr'):
        accept([[0.5]], 0.0, class_aware=False)


def photo(seed: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_boxes_between_images_of_one_size() -> None:
    image, host = photo(0), photo(1)
    before = host.copy()
    scene = paste_regions_for_examination(image, host, [[3.5, 2, 8, 6.2]], host_boxes=[[10, 10, 15, 18]])
    expected = host.copy()
    expected[10:18, 10:15] = np.rint(host.reshape(-1, 3).mean(0))
    expected[2:7, 3:8] = image[2:7, 3:8]
    assert np.array_equal(scene.image, expected) and scene.image.dtype == np.uint8
    assert scene.boxes.tolist() == [[3.5, 2, 8, 6.2]] and scene.regions is None
    assert np.array_equal(host, before), 'the labelled image is not changed'


def test_pseudo_labels_lie_over_deleted_objects() -> None:
    image, host = photo(0), photo(1)
    scene = paste_regions_for_examination(image, host, [[10, 10, 15, 18]], host_boxes=[[8, 8, 20, 20]])
    assert np.array_equal(scene.image[10:18, 10:15], image[10:18, 10:15])


def test_same_relative_position_in_another_size() -> None:
    image, host = photo(0), photo(1, 40, 90)
    scene = paste_regions_for_examination(image, host, [[10, 5, 14, 9]])  # centre 12, 7 of 30, 20 -> 36, 14 of 90, 40
    assert scene.boxes.tolist() == [[34, 12, 38, 16]]
    assert np.array_equal(scene.image[12:16, 34:38], image[5:9, 10:14])
    untouched = np.ones(host.shape[:2], bool)
    untouched[12:16, 34:38] = False
    assert np.array_equal(scene.image[untouched], host[untouched])


def test_what_sticks_out_is_moved_in_and_what_is_too_large_is_cut() -> None:
    image, host = photo(0), photo(1, 10, 10)
    scene = paste_regions_for_examination(image, host, [[24, 14, 30, 20], [0, 4, 30, 8]])
    assert scene.boxes[0].tolist() == [4, 4, 10, 10] and scene.boxes[1].tolist() == [0, 1, 10, 5]
    assert np.array_equal(scene.image[5:, 4:], image[15:, 24:])
    assert np.array_equal(scene.image[1:5], image[4:8, :10])


def test_boxes_without_area_or_outside_move_nothing() -> None:
    image, host = photo(0), photo(1)
    scene = paste_regions_for_examination(image, host, [[5, 5, 5, 5], [40, 3, 50, 9], [-9, -9, -2, -2]])
    assert np.array_equal(scene.image, host) and scene.boxes.shape == (3, 4)
    assert box_iou([[0, 0, 30, 20]], scene.boxes).max() == 0
    nothing = paste_regions_for_examination(image, host, np.zeros((0, 4)))
    assert np.array_equal(nothing.image, host) and nothing.boxes.shape == (0, 4)


def test_regions() -> None:
    image, host = photo(0), photo(1)
    regions = np.zeros((20, 30), np.uint8)
    regions[2:6, 3] = regions[5, 3:8] = 1  # an L
    regions[12:15, 20:22] = 3  # region 2 is empty
    scene = paste_regions_for_examination(image, host, regions=regions, host_mask=np.eye(20, 30) > 0)
    mean = np.rint(host.reshape(-1, 3).mean(0))
    expected = host.copy()
    expected[np.eye(20, 30) > 0] = mean
    expected[2:6, 3:8] = mean
    expected[regions > 0] = image[regions > 0]
    assert np.array_equal(scene.image, expected)
    assert np.array_equal(scene.regions, regions) and scene.boxes[0].tolist() == [3, 2, 8, 6]
    assert accept(region_iou(scene.regions, regions), class_aware=False).tolist() == [True, False, True]

    kept = paste_regions_for_examination(image, host, regions=regions, clear_boxes=False)
    assert np.array_equal(kept.image, np.where(regions[..., None] > 0, image, host))


def test_regions_move_with_their_map() -> None:
    image, host = photo(0), photo(1, 40, 60)
    regions = np.zeros((20, 30), int)
    regions[4:8, 6:10] = np.triu(np.ones((4, 4)))
    scene = paste_regions_for_examination(image, host, regions=torch.from_numpy(regions))
    assert scene.boxes.tolist() == [[14, 10, 18, 14]]
    assert np.array_equal(scene.regions[10:14, 14:18], np.triu(np.ones((4, 4)))) and scene.regions.sum() == 10
    assert np.array_equal(scene.image[scene.regions > 0], image[regions > 0])


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_tensors_with_channels_first(dtype: torch.dtype) -> None:
    image, host = photo(0), photo(1, 25, 35)
    boxes, own = [[3, 2, 8, 6]], [[20, 10, 25, 18]]
    scene = paste_regions_for_examination(image, host, boxes, host_boxes=own)
    first, second = (torch.from_numpy(values).permute(2, 0, 1).to(dtype) for values in (image, host))
    moved = paste_regions_for_examination(
        first, second, torch.tensor(boxes), host_boxes=torch.tensor(own), channels_last=False
    )
    assert isinstance(moved.image, torch.Tensor) and moved.image.dtype == dtype and moved.image.shape == second.shape
    assert torch.allclose(moved.image.permute(1, 2, 0).float(), torch.from_numpy(scene.image).float(), atol=0.5)
    assert np.array_equal(moved.boxes, scene.boxes)


def test_wrong_images_are_named() -> None:
    image = photo(0)
    with pytest.raises(ValueError, match='either boxes or regions'):
        paste_regions_for_examination(image, image)
    with pytest.raises(ValueError, match='equal channels and dtype'):
        paste_regions_for_examination(image, image.astype(np.float32), [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match='three dimensions'):
        paste_regions_for_examination(image[..., 0], image, [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match='regions must be a map'):
        paste_regions_for_examination(image, image, regions=np.zeros((3, 3), int))
    with pytest.raises(ValueError, match='host_mask must be'):
        paste_regions_for_examination(image, image, [[0, 0, 1, 1]], host_mask=np.zeros((3, 3)))
