"""ClassCounts: validation, selection, JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from imbdense.core.stats import ClassCounts

COUNTS = ClassCounts(
    ('a', 'b', 'c'), pixels=[10, 5, 0], images=[3, 2, 0], image_pixels=[30, 20, 0], num_images=4, ignored_pixels=7,
    cooccurrence=[[3, 1, 0], [1, 2, 0], [0, 0, 0]], object_sizes=[[0, 3], [1, 1], [0, 0]], fingerprint='f',
)  # fmt: skip


def test_counts_are_int64_and_units_are_listed() -> None:
    assert COUNTS.pixels.dtype == np.int64 and COUNTS.units == ('pixels', 'images') and COUNTS.num_classes == 3
    assert COUNTS.of('images').tolist() == [3, 2, 0]


def test_unknown_and_uncounted_units_say_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"count must be one of.*'boxes'"):
        COUNTS.of('boxes')
    with pytest.raises(ValueError, match=r"hold \['pixels', 'images'\].*'instances' was asked for"):
        COUNTS.of('instances')


@pytest.mark.parametrize('wrong', [[1, 2], [1, 2, -3], [1.5, 2, 3]])
def test_impossible_counts_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match=r'ClassCounts\.pixels'):
        ClassCounts(('a', 'b', 'c'), pixels=wrong)


def test_whole_floats_are_accepted() -> None:
    assert ClassCounts(('a',), pixels=[1e9]).pixels.tolist() == [10**9]


def test_select_reorders_everything() -> None:
    picked = COUNTS.select(['b', 'a'])
    assert picked.pixels.tolist() == [5, 10] and picked.image_pixels.tolist() == [20, 30]
    assert picked.cooccurrence.tolist() == [[2, 1], [1, 3]] and picked.object_sizes.tolist() == [[1, 1], [0, 3]]
    with pytest.raises(ValueError, match=r"\['z'\] were not counted"):
        COUNTS.select(['z'])


def test_json_round_trip() -> None:
    copy = ClassCounts.from_json(COUNTS.to_json())
    assert copy.to_dict() == COUNTS.to_dict() and copy.classes == ('a', 'b', 'c')


@pytest.mark.parametrize(
    ('text', 'message'),
    [('{', 'not valid JSON'), ('[]', 'must hold an object'),
     ('{"classes": ["a"]}', 'not a class_counts.json of format'),
     ('{"format": 1, "classes": ["a"], "pixel": [1]}', r"unknown keys \['pixel'\]")],
)  # fmt: skip
def test_broken_files_say_what_to_do(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassCounts.from_json(text)


def test_counts_beyond_32_bits_survive() -> None:
    large = ClassCounts(('a',), pixels=[2**40 + 1])
    assert json.loads(large.to_json())['pixels'] == [2**40 + 1]


def test_counts_of_clouds_speak_of_points_and_scenes() -> None:
    images = ClassCounts(('a', 'b'), pixels=np.array([3, 1]), images=np.array([1, 1]))
    clouds = ClassCounts.from_json(replace(images, of_points=True).to_json())
    assert [images.word(unit) for unit in ('pixels', 'images')] == ['pixels', 'images']
    assert [clouds.word(unit) for unit in ('pixels', 'images', 'instances')] == ['points', 'scenes', 'instances']
    assert 'of_points' not in images.to_dict()  # files of images stay as they were
    assert clouds.select(['b']).of_points
