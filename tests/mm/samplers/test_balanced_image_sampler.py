"""BalancedImageSampler: what each mode does to the classes, what it tells before training, which arguments it takes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from imbdense.core.stats import ImageClassTable
from imbdense.mm.samplers.balanced_image_sampler import BalancedImageSampler
from tests.mm.samplers.test_samplers import Listed

ROWS = [[0, 0]] * 40 + [[0, 1]] * 8 + [[2]] * 2
TABLE = ImageClassTable.from_lists(ROWS, 4)


def drawn_counts(sampler, epochs=40):
    """Mean amount per class over the epochs."""
    total = np.zeros(4)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        total += TABLE.subset(np.array(list(sampler))).totals
    return total / epochs


def ratio(counts):
    present = counts[counts > 0]
    return present.max() / present.min()


@pytest.mark.parametrize(
    ('options', 'limit'),
    [({'mode': 'oversample'}, 5), ({'mode': 'undersample'}, 10), ({'mode': 'sqrt'}, 16),
     ({'mode': 'oversample', 'level': 0.5}, 12), ({'mode': 'undersample', 'level': 0.5}, 17)],
    ids=str,
)  # fmt: skip
def test_each_mode_lowers_the_ratio_and_declares_it(options, limit):
    sampler = BalancedImageSampler(Listed(ROWS), seed=0, **options)
    counts = drawn_counts(sampler)
    assert ratio(TABLE.totals) == 44 and ratio(counts) < limit
    assert counts == pytest.approx(sampler.prior_effect(TABLE), rel=0.1)


def test_epochs_grow_and_shrink():
    over, under = (BalancedImageSampler(Listed(ROWS), mode, seed=0) for mode in ('oversample', 'undersample'))
    assert len(over) > 50 > len(under)
    assert set(over) == set(range(50)), 'every image comes at least once'
    assert {48, 49} <= set(under), 'images of the rarest class are never dropped'


def test_progressive_goes_from_natural_to_balanced_also_without_epochs():
    sampler = BalancedImageSampler(Listed(ROWS), 'progressive', epochs=4, seed=1)
    ratios = []
    for epoch in (0, 2, 4):
        sampler.set_epoch(epoch)
        ratios.append(ratio(TABLE.subset(np.array(list(sampler))).totals))
    assert ratios[0] == 44 and ratios[0] > ratios[1] > ratios[2]
    endless = BalancedImageSampler(Listed(ROWS), 'progressive', epochs=4, seed=1, infinite=True)
    stretch = np.array(list(islice(iter(endless), 250)))
    assert ratio(TABLE.subset(stretch[:50]).totals) == 44
    assert ratio(TABLE.subset(stretch[200:]).totals) == ratios[2]


def test_the_log_tells_draws_and_ratio_before_training(monkeypatch):
    log: list[str] = []
    monkeypatch.setattr('imbdense.mm.samplers.stream_sampler.print_log', lambda text, logger: log.append(text))
    BalancedImageSampler(Listed(ROWS), seed=0)
    assert log[0].startswith('BalancedImageSampler: draws per image and epoch 1 to ')
    assert 'largest / smallest class 44 -> ' in log[0] and 'crane x' in log[0] and 'buoy' not in log[0]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'mode': 'smote'}, 'mode must be one of'),
        ({'mode': 'sqrt', 'level': 0.5}, 'has no level'),
        ({'mode': 'undersample', 'max_repeat': 3}, 'has no max_repeat'),
        ({'mode': 'oversample', 'epochs': 3}, 'has no epochs'),
        ({'mode': 'progressive'}, 'needs epochs'),
        ({'mode': 'oversample', 'level': 2}, 'level'),
        ({'mode': 'sqrt', 'max_repeat': 0}, 'max_repeat'),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        BalancedImageSampler(Listed(ROWS), seed=0, **options)
