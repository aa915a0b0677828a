"""Batches of two streams behind the host's loader: ratio, ranks, resume, arguments."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader

from imbdense.registry import DATA_SAMPLERS
from tests.helpers.two_ranks import run_two_ranks


class Joined:
    """Four labelled and ten unlabelled items."""

    datasets = (range(4), range(10))

    def __len__(self) -> int:
        return 14

    def __getitem__(self, index: int) -> int:
        return index


def build(**options: Any) -> Any:
    config = dict(type='imbdense.TwoStreamSampler', batch_size=4, seed=5, **options)
    return DATA_SAMPLERS.build(config, default_args=dict(dataset=Joined()))


def test_batches_of_a_loader_have_the_ratio() -> None:
    sampler = build(ratio=(1, 3))
    for batch in DataLoader(Joined(), batch_size=4, sampler=sampler):
        assert (batch < 4).tolist() == [True, False, False, False]
    assert len(sampler) == 16


@pytest.mark.parametrize(
    ('ratio', 'size', 'parts'), [((1, 1), 4, (2, 2)), ((1, 7), 4, (1, 3)), ((9, 1), 4, (3, 1)), ((1, 2), 9, (3, 6))]
)
def test_each_stream_gets_at_least_one(ratio: tuple[int, int], size: int, parts: tuple[int, int]) -> None:
    config = dict(type='imbdense.TwoStreamSampler', batch_size=size, ratio=ratio, seed=0, dataset=Joined())
    assert DATA_SAMPLERS.build(config).stream.per_batch == parts


def test_the_host_resumes_with_the_very_batches() -> None:
    """mmengine's iterator skips n iterations; the stream goes on as if it had not stopped."""
    def batches(skip: int, number: int) -> list[list[int]]:
        loader = DataLoader(Joined(), batch_size=4, sampler=build(infinite=True))
        iterator = _InfiniteDataloaderIterator(loader)
        if skip:
            iterator.skip_iter(skip)
        return [next(iterator).tolist() for _ in range(number)]

    assert batches(5, 8) == batches(0, 13)[5:]


def on_rank() -> list[int]:
    return list(islice(iter(build(infinite=True, ratio=(1, 3))), 24))


def test_two_ranks_draw_different_batches_of_the_same_ratio() -> None:
    one, two = (np.reshape(part, (-1, 4)) for part in run_two_ranks(on_rank))
    single = np.reshape(list(islice(iter(build(infinite=True, ratio=(1, 3))), 48)), (-1, 4))
    assert np.array_equal(single[0::2], one) and np.array_equal(single[1::2], two)
    assert ((one < 4).sum(1) == 1).all() and ((two < 4).sum(1) == 1).all()


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='batch_size'):
        DATA_SAMPLERS.build(dict(type='imbdense.TwoStreamSampler', batch_size=1, dataset=Joined()))
    with pytest.raises(ValueError, match='does not tell which images are labelled'):
        DATA_SAMPLERS.build(dict(type='imbdense.TwoStreamSampler', batch_size=2, dataset=range(6)))
    with pytest.raises(ValueError, match='shuffle'):
        build(shuffle=False)
