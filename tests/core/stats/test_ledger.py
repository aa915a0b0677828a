"""Who already corrected the prior?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from imbdense.core.stats import DoubleCorrectionError, PriorLedger

CLASSES = ('ground', 'roof', 'mast')
COUNTS = np.array([900.0, 90.0, 10.0])
UNIFORM = pytest.approx([1 / 3] * 3)


def balance(ledger: PriorLedger, source: str = 'BalancedSoftmaxLoss') -> None:
    ledger.apply(source, 'loss', -np.log(ledger.seen_prior))


def test_empty_class_counts_once() -> None:
    assert PriorLedger(('a', 'b'), [99, 0]).prior == pytest.approx([0.99, 0.01])


def test_data_components_replace_the_prior_and_losses_shift_it() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    assert ledger.prior == pytest.approx(COUNTS / 1000)
    ledger.declare('RepeatFactorSampler', [600, 300, 100])
    assert ledger.prior == pytest.approx([0.6, 0.3, 0.1]) == ledger.seen_prior
    balance(ledger)
    assert ledger.prior == UNIFORM and ledger.seen_prior == pytest.approx([0.6, 0.3, 0.1])


def test_residual_is_what_is_left_to_the_target() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    assert ledger.residual() == pytest.approx(np.log(1 / 3) - np.log(COUNTS / 1000))
    assert ledger.residual(COUNTS) == pytest.approx([0, 0, 0])
    assert ledger.residual(tau=0.5) == pytest.approx(0.5 * ledger.residual())


def test_class_weights_multiply_the_prior() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    weights = np.array([0.1, 1.0, 2.0])
    ledger.apply('ReweightedCELoss', 'loss', np.log(weights), assumed=COUNTS)
    expected = COUNTS * weights
    assert ledger.prior == pytest.approx(expected / expected.sum())


def test_explicit_counts_that_a_sampler_has_changed_are_refused_by_name() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    ledger.declare('RepeatFactorSampler', [600, 300, 100])
    with pytest.raises(DoubleCorrectionError, match=r'RepeatFactorSampler already changed.*factor') as caught:
        ledger.apply('LogitAdjustLoss', 'loss', -np.log(COUNTS), assumed=COUNTS)
    assert 'Leave its class_counts out' in str(caught.value) and 'ground' in str(caught.value)
    assert len(ledger.entries) == 2  # a refused correction leaves no entry
    ledger.apply('LogitAdjustLoss', 'loss', -np.log(COUNTS), assumed=COUNTS, force=True)
    assert ledger.prior[2] > ledger.prior[0]  # the tail has become the head


def test_post_hoc_after_balanced_softmax_is_refused_by_name() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    balance(ledger)
    for assumed in (None, COUNTS):
        shift = ledger.residual() if assumed is None else -np.log(COUNTS)
        with pytest.raises(DoubleCorrectionError, match='BalancedSoftmaxLoss'):
            ledger.apply('PostHocLogitAdjustHook', 'post_hoc', shift, assumed=assumed)


def test_post_hoc_corrects_what_a_weak_loss_left() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    ledger.apply('LogitAdjustLoss', 'loss', -0.5 * np.log(COUNTS), assumed=COUNTS)
    ledger.apply('PostHocLogitAdjustHook', 'post_hoc', ledger.residual())
    assert ledger.prior == UNIFORM
    with pytest.raises(DoubleCorrectionError, match='PostHocLogitAdjustHook'):
        ledger.apply('another', 'post_hoc', ledger.residual())


def test_losses_of_several_heads_act_side_by_side_and_the_first_counts() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    balance(ledger, 'main')
    ledger.apply('auxiliary', 'loss', -0.5 * np.log(COUNTS), assumed=COUNTS)
    assert ledger.prior == UNIFORM


def test_data_after_the_loss_is_an_error() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    balance(ledger)
    with pytest.raises(ValueError, match='after the loss was set up'):
        ledger.declare('RareClassCrop', [1, 1, 1])


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match='3 class names but 2 counts'):
        PriorLedger(CLASSES, [1, 2])
    ledger = PriorLedger(CLASSES, COUNTS)
    with pytest.raises(ValueError, match='Sampler declares 2 classes, expected 3'):
        ledger.declare('Sampler', [1, 2])
    for shift in ([0.0, 1.0], [0.0, np.inf, 0.0]):
        with pytest.raises(ValueError, match='Loss gives a shift'):
            ledger.apply('Loss', 'loss', shift)


def test_json_round_trip_and_table() -> None:
    ledger = PriorLedger(CLASSES, COUNTS)
    ledger.declare('RepeatFactorSampler', [600, 300, 100])
    balance(ledger)
    copy = PriorLedger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert copy.entries == ledger.entries and copy.prior == UNIFORM
    lines = ledger.describe().splitlines()
    assert len(lines) == 4 and 'mast' in lines[0] and lines[2].startswith('RepeatFactorSampler')
