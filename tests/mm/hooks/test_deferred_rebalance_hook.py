"""DeferredRebalanceHook in real runs: loss, sampler, learning rate, frozen parts, resume, ledger, ranks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import load_checkpoint
from imbdense.registry import HOOKS
from tests.helpers.two_ranks import run_two_ranks
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


def test_deferred_reweighting_switches_the_loss_alone(tmp_path: Path) -> None:
    run = train(tmp_path / 'drw', phases(plain={'until': 0.8}, rebalanced={'loss': True}))
    assert [step['rebalancing'] for step in seen(run)] == [False] * 32 + [True] * 8
    plain = train(tmp_path / 'plain', [])
    assert [step['indices'] for step in seen(run)] == [step['indices'] for step in seen(plain)]
    assert [step['lr'] for step in seen(run)] == [step['lr'] for step in seen(plain)]


@pytest.mark.parametrize('workers', [0, 2])
def test_deferred_resampling_measured_from_the_loader(tmp_path: Path, workers: int) -> None:
    run = train(tmp_path, phases(**DRS), workers=workers)
    before, after = rare_share(seen(run)[:20]), rare_share(seen(run)[20:])
    assert before < 0.12 and 0.25 < after < 0.42
    assert all(step['rebalancing'] for step in seen(run)), 'losses are not touched'


def test_two_phases_balanced_first_and_the_drop_of_the_learning_rate(tmp_path: Path) -> None:
    run = train(tmp_path / 'two', phases(**TWO_PHASE))
    steps = seen(run)
    assert 0.25 < rare_share(steps[:24]) < 0.42 and rare_share(steps[24:]) < 0.13
    plain = seen(train(tmp_path / 'plain', []))
    for number, (step, other) in enumerate(zip(steps, plain)):
        factor = 1.0 if number < 24 else 0.1
        assert step['lr'] == pytest.approx([factor * rate for rate in other['lr']], rel=1e-12), number
    logged, _ = run.message_hub.get_scalar('train/lr').data
    assert logged[30] == pytest.approx(0.1 * plain[30]['lr'][0]), 'the drop is in the log'
    assert [norm['norm'] for norm in steps] == [True] * 24 + [False] * 16, 'statistics of frozen norms stay'


def test_checkpoints_and_schedulers_never_see_the_factor(tmp_path: Path) -> None:
    train(tmp_path / 'two', phases(**TWO_PHASE))
    train(tmp_path / 'plain', [])
    two, plain = (load_checkpoint(tmp_path / name / 'iter_36.pth') for name in ('two', 'plain'))
    for ours, host in zip(two['optimizer']['param_groups'], plain['optimizer']['param_groups']):
        assert ours['lr'] == host['lr'] and ours['initial_lr'] == host['initial_lr']
    assert [s['_last_value'] for s in two['param_schedulers']] == [s['_last_value'] for s in plain['param_schedulers']]


def test_only_the_head_moves_in_the_second_phase(tmp_path: Path) -> None:
    train(tmp_path, phases(**TWO_PHASE))
    before, at, end = (load_checkpoint(tmp_path / f'iter_{n}.pth')['state_dict'] for n in (20, 24, 40))
    moved = {key for key in at if not torch.equal(at[key], end[key])}
    assert moved == {'head.weight', 'head.bias'}
    assert not torch.equal(before['backbone.0.weight'], at['backbone.0.weight'])


@pytest.mark.parametrize(
    ('named', 'killed', 'changes'),
    [
        (TWO_PHASE, 32, {}),
        (TWO_PHASE, 24, {}),
        (TWO_PHASE, 8, {}),
        (TWO_PHASE, 32, {'workers': 2}),
        (DRS, 28, {'optimizer': {'type': 'AdamW', 'lr': 0.01}}),
        ({'a': {'until': 3, 'sampler': {**BALANCED, 'infinite': False}}, 'b': {'lr_mult': 0.5, 'loss': True}}, 5,
         {'epochs': True}),
        ({'a': {'until': 3, 'sampler': {**BALANCED, 'infinite': False}}, 'b': {'lr_mult': 0.5, 'loss': True}}, 3,
         {'epochs': True, 'workers': 1}),
    ],
    ids=['in phase 2', 'at the border', 'in phase 1', 'workers', 'resampling, AdamW', 'epochs', 'epochs at the border'],
)  # fmt: skip
def test_a_resumed_run_is_in_the_right_phase_and_ends_bit_equal(tmp_path: Path, named, killed, changes) -> None:
    whole = train(tmp_path / 'whole', phases(**named), **changes)
    unit, last = ('epoch', 8) if changes.get('epochs') else ('iter', 40)
    start = tmp_path / 'whole' / f'{unit}_{killed}.pth'
    resumed = train(tmp_path / 'resumed', phases(**named), load_from=str(start), resume=True, **changes)
    rest = seen(whole)[-len(seen(resumed)):]
    assert len(rest) < len(seen(whole)) and rest == seen(resumed)
    one, two = (load_checkpoint(tmp_path / name / f'{unit}_{last}.pth') for name in ('whole', 'resumed'))
    assert one['state_dict'].keys() == two['state_dict'].keys()
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key


def test_epochs_change_between_epochs_and_get_the_length_of_their_sampler(tmp_path: Path) -> None:
    longer = {'type': 'imbdense.BalancedClassSampler', 'max_repeat': 40, 'length': 48}
    run = train(tmp_path, phases(natural={'until': 0.25}, balanced={'sampler': longer}), epochs=True)
    assert len(seen(run)) == 2 * 6 + 6 * 12 == run.max_iters
    assert rare_share(seen(run)[:12]) == pytest.approx(2 / 24) and rare_share(seen(run)[12:]) > 0.3
    epochs = [Counter(i for step in seen(run)[12 + 12 * e : 24 + 12 * e] for i in step['indices']) for e in range(6)]
    assert epochs[0] != epochs[1], 'the epoch number reaches the new sampler'


def test_the_sampler_of_the_config_comes_back(tmp_path: Path) -> None:
    run = train(tmp_path / 'back', phases(a={'until': 10}, b={'until': 20, 'sampler': BALANCED}, c={'loss': True}))
    plain = [step['indices'] for step in seen(train(tmp_path / 'plain', []))]
    drawn = [step['indices'] for step in seen(run)]
    assert drawn[:10] == plain[:10] and drawn[20:] == plain[20:] and drawn[10:20] != plain[10:20]


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


def train_on_rank(folder: str) -> tuple[list[list[int]], dict[str, torch.Tensor], bool]:
    """Indices of this rank, weights at the end, whether the model is still wrapped."""
    run = train(Path(folder), phases(**TWO_PHASE), launcher='pytorch')
    state = {key: value.clone() for key, value in run.model.module.state_dict().items()}
    return [step['indices'] for step in seen(run)], state, type(run.model).__name__


def test_two_ranks_freeze_and_change_the_sampler_together(tmp_path: Path) -> None:
    (first, one, wrapper), (second, two, _) = run_two_ranks(train_on_rank, str(tmp_path))
    assert wrapper == 'MMDistributedDataParallel' and len(first) == len(second) == 40
    assert all(torch.equal(one[key], two[key]) for key in one if 'running' not in key)
    natural = [i for pair in zip(first[24:27], second[24:27]) for part in pair for i in part]
    assert len(set(natural)) == len(natural) == 24, 'the ranks draw different images'
    frozen = load_checkpoint(tmp_path / 'iter_24.pth')['state_dict']['backbone.0.weight']
    assert torch.equal(frozen, one['backbone.0.weight'])
