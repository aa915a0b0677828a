from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imbdense.data.scene import classes as c
from imbdense.data.scene.dataset_files import categories
from imbdense.data.scene.export_coco import image_annotations, run_lengths
from imbdense.data.scene.export_images import npz_bytes, png_bytes


def decode(counts: list[int], shape: tuple[int, int]) -> np.ndarray:
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(shape, order='F')


@pytest.mark.parametrize('seed', range(4))
def test_run_lengths_round_trip(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 5)) < (0.0, 0.3, 0.8, 1.0)[seed]
    assert np.array_equal(decode(run_lengths(mask), mask.shape), mask)


def test_run_lengths_hand_example_and_peer() -> None:
    mask = np.array([[0, 1], [1, 1]], bool)
    assert run_lengths(mask) == [1, 3]
    assert run_lengths(np.ones((2, 2), bool)) == [0, 4]
    peer = pytest.importorskip('pycocotools.mask')
    big = np.random.default_rng(0).random((40, 30)) < 0.4
    encoded = peer.frPyObjects({'size': [40, 30], 'counts': run_lengths(big)}, 40, 30)
    assert np.array_equal(peer.decode(encoded).astype(bool), big)


def test_annotations_hand_example() -> None:
    mapping = c.MAPPINGS['aerial']
    semantic = np.full((10, 12), c.GRASS, np.uint8)
    instance = np.zeros((10, 12), np.uint16)
    semantic[0:4, 0:6], instance[0:4, 0:6] = c.BUILDING, 1
    semantic[5:7, 2:6], instance[5:7, 2:6] = c.MILITARY, 5
    semantic[9, 9:12], instance[9, 9:12] = c.BIKE, 6
    wanted = categories(mapping)
    found = image_annotations(semantic, instance, mapping, wanted, 3, 10)
    assert len(found) == 1  # the house is no thing, the bike has three pixels
    assert found[0]['bbox'] == [2, 5, 4, 2] and found[0]['area'] == 8 and found[0]['image_id'] == 3
    assert mapping.classes[mapping.things[found[0]['category_id'] - 1]] == 'truck'
    assert decode(found[0]['segmentation']['counts'], (10, 12))[5:7, 2:6].all()
    assert len(image_annotations(semantic, instance, mapping, wanted, 3, 10, min_area=1)) == 2
    assert image_annotations(semantic, np.zeros_like(instance), mapping, wanted, 0, 0) == []


def test_png_modes_round_trip() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    ids = rng.integers(0, 65536, (5, 6)).astype(np.uint16)
    label = np.array([[0, 1, 255], [3, 2, 1]], np.uint8)
    assert np.array_equal(np.array(Image.open(io.BytesIO(png_bytes(rgb)))), rgb)
    assert np.array_equal(np.array(Image.open(io.BytesIO(png_bytes(ids)))).astype(np.uint16), ids)
    image = Image.open(io.BytesIO(png_bytes(label, palette=[(9, 8, 7)] * 4)))
    assert image.mode == 'P' and np.array_equal(np.array(image), label)
    assert np.array(image.convert('RGB'))[0, 0].tolist() == [9, 8, 7]


def test_npz_has_no_time_in_it() -> None:
    depth = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    data = npz_bytes(depth=depth)
    assert data == npz_bytes(depth=depth)
    assert np.array_equal(np.load(io.BytesIO(data))['depth'], depth)


@pytest.mark.parametrize('name', list(c.MAPPINGS))
def test_mappings_are_contiguous_and_disjoint(name: str) -> None:
    mapping = c.MAPPINGS[name]
    raw = [number for group in mapping.members for number in group]
    assert len(raw) == len(set(raw)) and len(mapping.classes) == len(mapping.palette) == len(mapping.members)
    table = mapping.table()
    assert set(np.unique(table)) == {*range(len(mapping.classes)), 255} and table[255] == 255


def test_benchmark6_equals_the_published_table() -> None:
    expected = {0: 0, 15: 0, 16: 0, 18: 0, 19: 0, 1: 1, 7: 1, 9: 1, 10: 1, 13: 1, 17: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 3,
                8: 3, 11: 4, 12: 4, 14: 5}
    table = c.MAPPINGS['benchmark6'].table()
    assert {number: int(table[number]) for number in range(20)} == expected
    clean = c.MAPPINGS['clean6'].table()
    assert {number for number in range(20) if clean[number] != table[number]} == {7, 9, 10, 13}
    assert all(clean[number] == 255 for number in (7, 9, 10, 13))
