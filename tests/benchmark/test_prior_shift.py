"""The pool with a rarer class: pictures with known shares, the table, and one short training of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.benchmark.prior_shift import SHARES as POOL_SHARES
from imbdense.benchmark.prior_shift import cells, prior_shift_page
from imbdense.benchmark.prior_shift_task import ESTIMATED, METHODS, Task, class_ious
from imbdense.benchmark.segmentation_shapes import SHARES, draw_pictures


def test_shares_of_the_pictures():
    for chance, rare in ((1.0, 0.05), (0.2, 0.01)):
        pictures, labels = draw_pictures(100, chance, (0,))
        shares = np.bincount(labels.ravel(), minlength=4) / labels.size
        assert pictures.shape == (100, 40, 40, 3) and pictures.dtype == np.uint8
        assert shares[3] == pytest.approx(rare, rel=0.1) and shares[1:3] == pytest.approx(SHARES[1:3], rel=0.1)
    assert np.array_equal(draw_pictures(3, 1.0, (5,))[0], draw_pictures(3, 1.0, (5,))[0])


def test_table_says_what_was_found():
    values = {'supervised': 0.5, 'fixmatch': 0.6, 'bbse + class': 0.6, 'labelled + class': 0.55}
    scores = {
        cell: values[cell[0]] - (0.1 * POOL_SHARES.index(cell[1]) if cell[0] == 'fixmatch' else 0.0)
        for cell in cells([0, 1])
    }
    page = prior_shift_page(scores, [0, 1])
    assert len(scores) == 2 * 10
    assert 'falls with the share: yes (0.600 → 0.500 → 0.400); it loses +0.200' in page
    assert 'against the supervised run: -0.100' in page
    assert 'change plain FixMatch by +0.200, those of the labels by +0.150' in page


@pytest.mark.slow
def test_every_method_learns_the_frequent_classes():
    task = Task(labelled=10, pool=60, held_out=10, test=20, steps=80, ramp=30, rare_share=POOL_SHARES[-1])
    for method in METHODS:
        found = class_ious(task, method, 0)
        assert found[:2].min() > 0.7, (method, found)
    assert np.array_equal(class_ious(task, ESTIMATED, 0), class_ious(task, ESTIMATED, 0))
