"""DeferredRebalanceHook in real runs: loss, sampler, learning rate, frozen parts, resume, ledger, ranks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.runner import SafeRunner
from imbdense.registry import HOOKS
from tests.mm.hooks.phase_run import ROWS, seen, train

BALANCED = {'type': 'imbdense.BalancedClassSampler', 'max_repeat': 40, 'infinite': True}
DRS = {'natural': {'until': 0.5}, 'balanced': {'sampler': BALANCED}}
TWO_PHASE = {
    'balanced': {'until': 24, 'sampler': BALANCED},
    'natural': {'sampler': 'natural', 'trainable': 'head', 'lr_mult': 0.1},
}


def phases(**named):
    return [{'type': 'imbdense.DeferredRebalanceHook', 'phases': named}]


def rare_share(steps):
    """Share of draws that are images of the rarest class; 2 of 24 by nature."""
    drawn = [index for step in steps for index in step['indices']]
    return sum(2 in ROWS[index] for index in drawn) / len(drawn)


@pytest.fixture(scope='module')
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], dict]:
    """Steps and last checkpoint of the run without phases."""
    folder = tmp_path_factory.mktemp('plain')
    return seen(train(folder, [])), load_checkpoint(folder / 'iter_40.pth')


@pytest.fixture(scope='module')
def two_phases(tmp_path_factory: pytest.TempPathFactory) -> tuple[SafeRunner, Path]:
    """The run of :data:`TWO_PHASE`, with checkpoints on the way."""
    folder = tmp_path_factory.mktemp('two')
    return train(folder, phases(**TWO_PHASE), interval=8), folder


def test_deferred_reweighting_switches_the_loss_alone(tmp_path: Path, plain: tuple[list[dict], dict]) -> None:
    run = train(tmp_path, phases(plain={'until': 0.8}, rebalanced={'loss': True}))
    assert [step['rebalancing'] for step in seen(run)] == [False] * 32 + [True] * 8
    assert [step['indices'] for step in seen(run)] == [step['indices'] for step in plain[0]]
    assert [step['lr'] for step in seen(run)] == [step['lr'] for step in plain[0]]


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_deferred_resampling_measured_from_the_loader(tmp_path: Path, workers: int) -> None:
    run = train(tmp_path, phases(**DRS), workers=workers)
    before, after = rare_share(seen(run)[:20]), rare_share(seen(run)[20:])
    assert before < 0.12 and 0.25 < after < 0.42
    assert all(step['rebalancing'] for step in seen(run)), 'losses are not touched'


def test_two_phases_balanced_first_and_the_drop_of_the_learning_rate(
    two_phases: tuple[SafeRunner, Path], plain: tuple[list[dict], dict]
) -> None:
    run, _ = two_phases
    steps = seen(run)
    assert 0.25 < rare_share(steps[:24]) < 0.42 and rare_share(steps[24:]) < 0.13
    for number, (step, other) in enumerate(zip(steps, plain[0])):
        factor = 1.0 if number < 24 else 0.1
        assert step['lr'] == pytest.approx([factor * rate for rate in other['lr']], rel=1e-12), number
    logged, _ = run.message_hub.get_scalar('train/lr').data
    assert logged[30] == pytest.approx(0.1 * plain[0][30]['lr'][0]), 'the drop is in the log'
    assert [norm['norm'] for norm in steps] == [True] * 24 + [False] * 16, 'statistics of frozen norms stay'


def test_checkpoints_and_schedulers_never_see_the_factor(
    two_phases: tuple[SafeRunner, Path], plain: tuple[list[dict], dict]
) -> None:
    two, host = load_checkpoint(two_phases[1] / 'iter_40.pth'), plain[1]
    for ours, theirs in zip(two['optimizer']['param_groups'], host['optimizer']['param_groups']):
        assert ours['lr'] == theirs['lr'] and ours['initial_lr'] == theirs['initial_lr']
    assert [s['_last_value'] for s in two['param_schedulers']] == [s['_last_value'] for s in host['param_schedulers']]


def test_only_the_head_moves_in_the_second_phase(two_phases: tuple[SafeRunner, Path]) -> None:
    before, at, end = (load_checkpoint(two_phases[1] / f'iter_{n}.pth')['state_dict'] for n in (16, 24, 40))
    moved = {key for key in at if not torch.equal(at[key], end[key])}
    assert moved == {'head.weight', 'head.bias'}
    assert not torch.equal(before['backbone.0.weight'], at['backbone.0.weight'])


def assert_same_end(whole: tuple[SafeRunner, Path], resumed: tuple[SafeRunner, Path], name: str) -> None:
    """The resumed run saw what the other one saw after that point, and ended with its weights."""
    steps, rest = seen(whole[0]), seen(resumed[0])
    assert len(rest) < len(steps) and steps[-len(rest) :] == rest
    one, two = (load_checkpoint(folder / name)['state_dict'] for _, folder in (whole, resumed))
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


@pytest.mark.parametrize('killed', [32, 24, 8], ids=['in phase 2', 'at the border', 'in phase 1'])
def test_a_resumed_run_is_in_the_right_phase_and_ends_bit_equal(
    tmp_path: Path, two_phases: tuple[SafeRunner, Path], killed: int
) -> None:
    start = two_phases[1] / f'iter_{killed}.pth'
    resumed = train(tmp_path, phases(**TWO_PHASE), load_from=str(start), resume=True)
    assert_same_end(two_phases, (resumed, tmp_path), 'iter_40.pth')


EPOCHS = {'a': {'until': 3, 'sampler': {**BALANCED, 'infinite': False}}, 'b': {'lr_mult': 0.5, 'loss': True}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('named', 'killed', 'changes'),
    [
        (TWO_PHASE, 'iter_32', {'workers': 2, 'interval': 8}),
        (DRS, 'iter_24', {'optimizer': {'type': 'AdamW', 'lr': 0.01}, 'interval': 8}),
        (EPOCHS, 'epoch_5', {'epochs': True, 'interval': 1}),
        (EPOCHS, 'epoch_3', {'epochs': True, 'interval': 1, 'workers': 1}),
    ],
    ids=['workers', 're-sampling, AdamW', 'epochs', 'epochs at the border'],
)
def test_resuming_other_runs(tmp_path: Path, named, killed, changes) -> None:
    whole = train(tmp_path / 'whole', phases(**named), **changes), tmp_path / 'whole'
    start = str(tmp_path / 'whole' / f'{killed}.pth')
    resumed = train(tmp_path / 'rest', phases(**named), load_from=start, resume=True, **changes), tmp_path / 'rest'
    assert_same_end(whole, resumed, 'epoch_8.pth' if changes.get('epochs') else 'iter_40.pth')


def test_epochs_change_between_epochs_and_get_the_length_of_their_sampler(tmp_path: Path) -> None:
    longer = {'type': 'imbdense.BalancedClassSampler', 'max_repeat': 40, 'length': 48}
    run = train(tmp_path, phases(natural={'until': 0.25}, balanced={'sampler': longer}), epochs=True)
    assert len(seen(run)) == 2 * 6 + 6 * 12 == run.max_iters
    assert rare_share(seen(run)[:12]) == pytest.approx(2 / 24) and rare_share(seen(run)[12:]) > 0.3
    epochs = [Counter(i for step in seen(run)[12 + 12 * e : 24 + 12 * e] for i in step['indices']) for e in range(6)]
    assert epochs[0] != epochs[1], 'the epoch number reaches the new sampler'


def test_the_sampler_of_the_config_comes_back(tmp_path: Path, plain: tuple[list[dict], dict]) -> None:
    run = train(tmp_path, phases(a={'until': 10}, b={'until': 20, 'sampler': BALANCED}, c={'loss': True}))
    host = [step['indices'] for step in plain[0]]
    drawn = [step['indices'] for step in seen(run)]
    assert drawn[:10] == host[:10] and drawn[20:] == host[20:] and drawn[10:20] != host[10:20]


@pytest.mark.parametrize(
    ('named', 'changes', 'words'),
    [
        ({'a': {'until': 0.5}, 'b': {'loss': True}}, {'switched': False}, 'no loss of the model can be switched'),
        ({'a': {'until': 0.5}, 'b': {'trainable': 'hed'}}, {}, r"'hed' in it. They begin with .*head.bias"),
        ({'a': {'until': 0.5}, 'b': {'trainable': '('}}, {}, 'no regular expression'),
        ({'a': {'until': 50}, 'b': {'lr_mult': 0.1}}, {}, 'from iteration 0 to 50|from iteration 50 to 40'),
        ({'a': {'until': 0.5}, 'b': {'sampler': {**BALANCED, 'infinite': False}}}, {}, 'Use infinite=True'),
        ({'a': {'until': 0.5}, 'b': {'sampler': BALANCED}}, {'sampler': {'type': 'DefaultSampler'}},
         'InfiniteSampler instead of DefaultSampler'),
    ],
)  # fmt: skip
def test_mistakes_show_before_the_first_iteration(tmp_path: Path, named, changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        train(tmp_path, phases(**named), **changes)
    assert not list(tmp_path.glob('*.pth'))


def test_unknown_keys_and_phases_are_refused_at_construction() -> None:
    with pytest.raises(TypeError, match='unknown keys'):
        HOOKS.build({'type': 'imbdense.DeferredRebalanceHook', 'phases': {'a': {'begin': 3}, 'b': {}}})
