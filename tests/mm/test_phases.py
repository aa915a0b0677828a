"""Phases as written in configs: order, defaults, what is refused; their clock."""

from __future__ import annotations

import pytest

pytest.importorskip('mmengine')

from mmengine.config import Config

from imbdense.mm.phases import Timetable, read_phases

DRW = {'plain': {'until': 0.8}, 'rebalanced': {'loss': True}}


def names(phases):
    return [phase.name for phase in read_phases(phases, 'Hook')]


def test_the_order_is_that_of_their_ends_also_after_a_config_was_written_to_a_file():
    phases = {'warm': {'until': 0.1}, 'middle': {'until': 0.6, 'lr_mult': 0.5}, 'end': {}}
    assert names(phases) == ['warm', 'middle', 'end']
    dumped = Config.fromstring(Config({'phases': phases}).pretty_text, '.py').phases
    assert list(dumped) != list(phases), 'the host sorts keys; otherwise this test shows nothing'
    assert names(dumped) == ['warm', 'middle', 'end']


@pytest.mark.parametrize(
    ('said', 'meant'),
    [((None, True), (False, True)), ((False, None), (False, True)), ((True, False), (True, False)),
     ((None, None), (None, None))],
)  # fmt: skip
def test_where_loss_is_left_out(said, meant):
    phases = {'a': {'until': 3, 'loss': said[0]}, 'b': {'loss': said[1], 'lr_mult': 0.1}}
    assert tuple(phase.loss for phase in read_phases(phases, 'Hook')) == meant


def test_defaults_and_description():
    plain, rebalanced = read_phases(DRW, 'Hook')
    assert (plain.sampler, plain.trainable, plain.lr_mult) == (None, 'all', 1.0)
    assert rebalanced.describe() == 'losses rebalance, sampler as configured, trains all, learning rate x1'


@pytest.mark.parametrize(
    ('phases', 'words'),
    [
        ({}, 'at least two'),
        ({'a': {}}, 'at least two'),
        ({'a': {'until': 0.5}, 'b': {'until': 0.7, 'loss': True}}, "exactly one phase must be without 'until'"),
        ({'a': {'loss': True}, 'b': {}}, "exactly one phase must be without 'until'"),
        ({'a': {'until': 0.5}, 'b': {}}, 'do not differ'),
        ({'a': {'until': 0.5, 'los': True}, 'b': {}}, r"'a' has the unknown keys \['los'\]"),
        ({'a': {'until': 1.5}, 'b': {'loss': True}}, 'until'),
        ({'a': {'until': 0}, 'b': {'loss': True}}, 'until'),
        ({'a': {'until': 0.5}, 'b': {'until': 7, 'loss': True}, 'c': {}}, 'fraction in all phases'),
        ({'a': {'until': 0.5}, 'b': {'sampler': 'balanced'}}, "'natural' or a config"),
        ({'a': {'until': 0.5}, 'b': {'sampler': {'mode': 'over'}}}, "'natural' or a config"),
        ({'a': {'until': 0.5}, 'b': {'loss': 1}}, 'True or False'),
        ({'a': {'until': 0.5}, 'b': {'trainable': ['head']}}, 'regular expression'),
        ({'a': {'until': 0.5}, 'b': {'lr_mult': -1}}, 'lr_mult'),
    ],
)
def test_wrong_phases_are_named(phases, words):
    with pytest.raises((ValueError, TypeError), match=words):
        read_phases(phases, 'Hook')


def test_clock():
    table = Timetable(read_phases(DRW, 'Hook'), 600, 'iteration', 'Hook')
    assert table.ends == [480]
    assert [table.number_at(position) for position in (0, 479, 480, 599)] == [0, 0, 1, 1]
    whole = {'a': {'until': 2}, 'b': {'until': 5, 'lr_mult': 0.1}, 'c': {}}
    table = Timetable(read_phases(whole, 'Hook'), 8, 'epoch', 'Hook')
    assert [table.number_at(epoch) for epoch in range(8)] == [0, 0, 1, 1, 1, 2, 2, 2]


def test_an_empty_phase_is_refused():
    with pytest.raises(ValueError, match="'rebalanced' would run from epoch 4 to 4 of 4"):
        Timetable(read_phases({'plain': {'until': 4}, 'rebalanced': {'loss': True}}, 'Hook'), 4, 'epoch', 'Hook')
    with pytest.raises(ValueError, match="'plain' would run from iteration 0 to 0"):
        Timetable(read_phases({'plain': {'until': 0.01}, 'rebalanced': {'loss': True}}, 'Hook'), 10, 'iteration', 'H')
