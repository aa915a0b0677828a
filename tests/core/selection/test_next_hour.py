"""The worth of the next minutes against the truth of the synthetic pool."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from imbdense.core.selection import OFDS, KNNVerifier
from imbdense.core.selection.next_hour import NextHour, next_hour
from imbdense.core.selection.trusted import trusted_objects
from tests.helpers.synthetic_pool import CLASSES, SyntheticPool, labelled_batch, synthetic_pool

MINUTES = 20.0


def modes_of(drawn: SyntheticPool, klass: int, images: np.ndarray) -> set[int]:
    """True modes of a class in some images."""
    return set(drawn.mode[np.isin(drawn.image, images) & (drawn.klass == klass)].tolist())


@pytest.fixture(scope='module')
def repeats() -> list[tuple[SyntheticPool, np.ndarray, NextHour]]:
    """Five pools with noisy proposals, 40 images labelled: chosen by OFDS, or at random in every second."""
    found = []
    for seed in range(5):
        drawn = synthetic_pool(seed, missed=0.25, wrong=0.1)
        trusted = trusted_objects(drawn.pool, 2, verify=KNNVerifier()).rows
        if seed % 2:
            labelled = np.random.default_rng(seed).choice(drawn.pool.num_images, 40, replace=False)
        else:
            labelled = OFDS()(drawn.pool, 40, seed=seed).images
        batch = labelled_batch(drawn, trusted, labelled)
        found.append((drawn, labelled, next_hour(drawn.pool, trusted, batch, minutes=MINUTES, seed=seed)))
    return found


def new_modes(drawn: SyntheticPool, labelled: np.ndarray, table: NextHour) -> list[int]:
    """What labelling the images proposed for each class really shows for the first time."""
    return [len(modes_of(drawn, klass, np.array(row.images)) - modes_of(drawn, klass, labelled))
            for klass, row in enumerate(table.classes)]


def test_the_interval_covers_the_truth(repeats: list[tuple[SyntheticPool, np.ndarray, NextHour]]) -> None:
    inside = [
        row.new_modes[1] <= truth <= row.new_modes[2]
        for drawn, labelled, table in repeats
        for row, truth in zip(table.classes, new_modes(drawn, labelled, table))
    ]
    assert len(inside) == 5 * CLASSES and np.mean(inside) >= 0.8


def test_the_intervals_say_something(repeats: list[tuple[SyntheticPool, np.ndarray, NextHour]]) -> None:
    """An interval of 0 ... 6 would always cover."""
    widths = [row.new_modes[2] - row.new_modes[1] for _, _, table in repeats for row in table.classes]
    assert np.mean(widths) < 2.5


def test_the_ranking_of_the_classes_follows_the_truth(
    repeats: list[tuple[SyntheticPool, np.ndarray, NextHour]],
) -> None:
    found = []
    for drawn, labelled, table in repeats:
        worth = [row.per_minute[0] for row in table.classes]
        truth = [n / row.minutes if row.minutes else 0.0
                 for n, row in zip(new_modes(drawn, labelled, table), table.classes)]
        found.append(spearmanr(worth, truth).statistic)
    assert np.mean(found) > 0.7


def test_the_common_images_beat_random_ones(
    repeats: list[tuple[SyntheticPool, np.ndarray, NextHour]],
) -> None:
    for drawn, labelled, table in repeats:
        free = np.setdiff1d(np.arange(drawn.pool.num_images), labelled)
        other = np.random.default_rng(0).choice(free, len(table.images), replace=False)
        gained = [drawn.modes_seen(np.r_[labelled, np.array(more, int)]) for more in (table.images, other)]
        assert gained[0] > gained[1]
        assert not set(table.images) & set(labelled.tolist()) and table.minutes <= MINUTES


def test_the_table_is_plain_data(repeats: list[tuple[SyntheticPool, np.ndarray, NextHour]]) -> None:
    drawn, _, table = repeats[0]
    record = json.loads(json.dumps(table.to_dict(drawn.pool.image_ids), allow_nan=False))
    assert len(record['classes']) == CLASSES and record['images'][0].endswith('.png')
    gains = record['gains']
    assert gains == sorted(gains, reverse=True), 'with unit costs the gain only falls'


def test_nothing_labelled_is_known_to_be_unknown() -> None:
    """Without a labelled image precision and recall are flat, and no mode is seen."""
    drawn = synthetic_pool(0, images=200)
    trusted = np.arange(drawn.pool.num_objects)
    table = next_hour(drawn.pool, trusted, labelled_batch(drawn, trusted, np.array([], dtype=int)), minutes=5)
    assert all(row.seen == 0 and row.precision[0] == 0.5 for row in table.classes)
