"""The drawn pixels: unbiased, exact class totals, seeded; part sizes and border distances by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import PixelSample, draw_pixels, weighted_confusion
from imbdense.core.inference.pixel_sample import border_distance, part_sizes


def label_and_prediction() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = rng.choice(3, 4000, p=[0.9, 0.09, 0.01])
    pred = np.where(rng.random(4000) < 0.7, label, rng.integers(0, 3, 4000))
    label[:100] = -1
    return label, pred


def test_estimates_are_unbiased_and_class_totals_exact() -> None:
    label, pred = label_and_prediction()
    valid = label >= 0
    exact = weighted_confusion(pred[valid], label[valid], np.ones(valid.sum()), 3)
    tables = []
    for seed in range(400):
        chosen, weight = draw_pixels(label, 3, 60, np.random.default_rng(seed))
        tables.append(weighted_confusion(pred[chosen], label[chosen], weight, 3))
        assert tables[-1].sum(axis=1) == pytest.approx(exact.sum(axis=1))
    error = np.std(tables, axis=0) / np.sqrt(len(tables))
    assert (np.abs(np.mean(tables, axis=0) - exact) < 4 * error + 1e-9).all()


def test_rare_class_is_kept_whole_and_ignored_pixels_never_drawn() -> None:
    label, _ = label_and_prediction()
    chosen, weight = draw_pixels(label, 3, 60, np.random.default_rng(0))
    assert (label[chosen] == 2).sum() == (label == 2).sum() and (label[chosen] >= 0).all()
    assert weight[label[chosen] == 2].tolist() == [1.0] * int((label == 2).sum())
    assert len(np.unique(chosen)) == len(chosen)


def test_seeded_and_empty() -> None:
    label, _ = label_and_prediction()
    first, second = (draw_pixels(label, 3, 60, np.random.default_rng((5, 7)))[0] for _ in range(2))
    assert np.array_equal(first, second)
    chosen, weight = draw_pixels(np.full(9, -1), 3, 60, np.random.default_rng(0))
    assert chosen.size == weight.size == 0
    nothing = PixelSample(*(np.zeros((0, 3)), *(np.zeros(0, dtype=np.int64) for _ in range(5))))
    with pytest.raises(ValueError, match='no labelled pixel'):
        PixelSample.concat([nothing])


def test_part_sizes_by_hand() -> None:
    label = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    # the three 0 at the upper left and the three below the diagonal touch at a corner: one part of six
    assert part_sizes(label, 2).tolist() == [[6, 6, 2], [6, 2, 6], [0, 6, 6]]


def test_border_distance_by_hand() -> None:
    label = np.array([[0, 0, 0, 1, 1]])
    assert border_distance(label, 255).tolist() == [[3, 2, 1, 1, 2]]
    assert border_distance(np.zeros((2, 2), dtype=int), 255).tolist() == [[255, 255], [255, 255]]
    beside_ignored = np.array([[0, 255, 1]])
    assert (border_distance(beside_ignored, 255) == 255).all()
