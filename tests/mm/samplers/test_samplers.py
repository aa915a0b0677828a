"""The registered samplers: host contract, ranks, resume, names of absent classes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import BatchSampler, DataLoader

from imbdense.registry import DATA_SAMPLERS
from tests.helpers.two_ranks import run_two_ranks

LABELS = [[0], [0, 0, 1], [0], [], [0], [0, 2], [0], [0], [0], [], [0]]
MODES = {
    'oversample': {'mode': 'oversample'},
    'undersample': {'mode': 'undersample', 'level': 0.3},
    'sqrt': {'mode': 'sqrt'},
    'progressive': {'mode': 'progressive', 'epochs': 4},
}
KINDS = ['RepeatFactorSampler', 'BalancedClassSampler', *MODES]


class Listed:
    """A data set that only lists its objects: neither mmseg nor mmdet."""

    metainfo = {'classes': ('field', 'road', 'crane', 'buoy')}

    def __init__(self, labels=LABELS):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return index

    def get_cat_ids(self, index):
        return self.labels[index]


def build(kind, **options):
    dataset = options.pop('dataset') if 'dataset' in options else Listed()
    name = 'BalancedImageSampler' if kind in MODES else kind
    config = {'type': f'imbdense.{name}', 'seed': 5, **MODES.get(kind, {}), **options}
    return DATA_SAMPLERS.build(config, default_args={'dataset': dataset})


@pytest.mark.parametrize('kind', KINDS)
def test_epochs_differ_repeat_and_have_the_announced_length(kind):
    sampler = build(kind)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    assert epochs[0] == epochs[2] != epochs[1]
    assert all(len(part) == len(sampler) for part in epochs)


@pytest.mark.parametrize('kind', KINDS)
def test_iteration_loop_resumes_bit_equal(kind, monkeypatch):
    """mmengine's iterator after skip_iter(k) continues exactly the batches of the uninterrupted run."""
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)
    for infinite in (True, False):

        def batches(count, skipped=0, infinite=infinite):
            loader = DataLoader(Listed(), batch_size=4, sampler=build(kind, infinite=infinite))
            iterator = _InfiniteDataloaderIterator(loader)
            iterator.skip_iter(skipped)
            return [next(iterator).tolist() for _ in range(count)]

        count = 12 if infinite else 4
        assert batches(count)[3:] == batches(count - 3, 3)


def test_finite_sampler_offers_no_skip_and_infinite_does():
    assert hasattr(build('RepeatFactorSampler', infinite=True), 'skip')
    assert not hasattr(build('RepeatFactorSampler'), 'skip')


@pytest.mark.parametrize('kind', KINDS)
def test_infinite_ignores_set_epoch_and_never_ends(kind):
    sampler = build(kind, infinite=True)
    first = list(islice(iter(sampler), 50))
    sampler.set_epoch(3)
    assert list(islice(iter(sampler), 50)) == first


def test_host_batch_sampler_that_groups_images_accepts_it():
    sampler = build('RepeatFactorSampler')
    loader = DataLoader(Listed(), batch_sampler=BatchSampler(sampler, 2, drop_last=True))
    assert sum(len(batch) for batch in loader) == len(sampler) // 2 * 2


def test_draw_rates_and_prior_effect():
    from imbdense.core.stats import ImageClassTable

    table = ImageClassTable.from_lists(LABELS, 4)
    sampler = build('RepeatFactorSampler', threshold=0.5)
    rates = sampler.draw_rates()
    assert rates.sum() == pytest.approx(sampler.stream.length)
    effect = sampler.prior_effect(table)
    drawn = np.zeros(4)
    for epoch in range(300):
        sampler.set_epoch(epoch)
        for image in sampler:
            np.add.at(drawn, LABELS[image], 1)
    assert np.allclose(effect, drawn / 300, rtol=0.05)
    assert effect[2] / effect[0] > 1.3 * table.totals[2] / table.totals[0]
    with pytest.raises(ValueError, match='one rate per image'):
        sampler.prior_effect(ImageClassTable.from_lists(LABELS[:3], 4))


def test_class_without_images_is_named_in_the_log(capsys, caplog):
    from mmengine.logging import MMLogger

    MMLogger.get_instance('sampler-test')
    with caplog.at_level('INFO'):
        build('BalancedClassSampler')
    captured = capsys.readouterr()
    assert 'no image holds buoy' in captured.out + captured.err + caplog.text


@pytest.mark.parametrize('kind', KINDS)
def test_edges(kind):
    assert set(build(kind, dataset=Listed([[0]]))) == {0}
    assert sorted(build(kind, dataset=Listed([[], []]))) == [0, 1]
    with pytest.raises(ValueError, match='no image'):
        build(kind, dataset=Listed([]))
    with pytest.raises(ValueError, match='shuffle must be True'):
        build(kind, shuffle=False)
    with pytest.raises(TypeError, match='thresh'):
        build(kind, thresh=0.1)


def test_uncountable_data_set_is_explained():
    class Blind:
        def __len__(self):
            return 2

    with pytest.raises(TypeError, match=r'Blind cannot be counted.*get_cat_ids'):
        build('RepeatFactorSampler', dataset=Blind())


def on_each_rank():
    """Per kind: seed, one epoch and one endless stretch of this rank; without a given seed."""
    torch.manual_seed(torch.distributed.get_rank())
    np.random.seed(torch.distributed.get_rank())
    results = {}
    for kind in KINDS:
        finite = build(kind, seed=None)
        endless = build(kind, seed=finite.seed, infinite=True)
        results[kind] = finite.seed, list(finite), list(islice(iter(endless), 40))
    return results


def test_two_ranks_share_the_seed_and_equal_one_rank():
    ranks = run_two_ranks(on_each_rank)
    for kind in KINDS:
        (seed, first, endless_first), (other, second, endless_second) = (rank[kind] for rank in ranks)
        assert seed == other and len(first) == len(second)
        expected = list(build(kind, seed=seed))
        woven = [index for pair in zip(first, second) for index in pair]
        assert woven[: len(expected)] == expected and len(woven) - len(expected) in (0, 1)
        single = list(islice(iter(build(kind, seed=seed, infinite=True)), 80))
        assert [index for pair in zip(endless_first, endless_second) for index in pair] == single
