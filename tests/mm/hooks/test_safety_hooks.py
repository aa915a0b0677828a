"""The hooks around training, one by one; whole runs are in tests/cli/test_train.py and tests/integration."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.logging import MessageHub

from imbdense.mm.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from imbdense.mm.hooks.nan_guard_hook import NanGuardHook, NonFiniteLossError
from imbdense.mm.hooks.rich_progress_hook import RichProgressHook
from imbdense.mm.reproducible import Draw, NumberedSampler, SampleError, SeededFetch, seed_iteration

RUNNER = SimpleNamespace(iter=0, work_dir='work')


def batch(*names: str) -> dict[str, Any]:
    """What the hosts hand to hooks."""
    return {'data_samples': [SimpleNamespace(img_path=name) for name in names]}


class OnDevice(torch.Tensor):
    """A tensor that says it is on an accelerator, so that the guard waits as it does there."""

    device = torch.device('meta')  # type: ignore[assignment]


def test_guard_names_the_first_bad_iteration_after_the_fact() -> None:
    """On an accelerator losses are looked at later; still the right iteration and files are named."""
    guard = NanGuardHook(interval=4)
    for iteration, value in enumerate([1.0, float('inf'), 1.0]):
        runner = SimpleNamespace(iter=iteration, work_dir='work')
        loss = torch.tensor(value).as_subclass(OnDevice)
        guard.after_train_iter(runner, iteration, batch(f'{iteration}.png'), {'loss_a': loss, 'acc': torch.tensor(0.0)})
    with pytest.raises(NonFiniteLossError, match=r'iteration 2: loss_a = inf.*1\.png'):
        guard.before_save_checkpoint(RUNNER, {})


def test_guard_is_silent_on_finite_losses_and_other_values() -> None:
    guard = NanGuardHook()
    guard.after_train_iter(RUNNER, 0, batch('a'), {'loss': torch.tensor(1.0), 'acc': torch.tensor(float('nan'))})
    guard.after_train_iter(RUNNER, 0, None, None)


def test_guard_refuses_a_bad_interval() -> None:
    with pytest.raises(ValueError, match='interval'):
        NanGuardHook(interval=0)


class Folder:
    """A file backend that logs its removals."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def isfile(self, path: str) -> bool:
        return True

    def remove(self, path: str) -> None:
        self.removed.append(path)


def test_old_checkpoints_go_only_when_the_new_one_is_there() -> None:
    hook = AtomicCheckpointHook(interval=1, max_keep_ckpts=1)
    hook.file_backend = folder = Folder()
    hook.last_ckpt = 'new'
    with pytest.raises(OSError, match='full'), hook._removals_last():
        hook.file_backend.remove('old')
        raise OSError('full')
    assert folder.removed == []
    with hook._removals_last():
        hook.file_backend.remove('old')
        hook.file_backend.remove('new')  # written again under the same name
        assert folder.removed == []
    assert folder.removed == ['old']
    assert hook.file_backend is folder


def best_runner(undefined: set[str]) -> Any:
    """A runner at its first validation, whose metric left out some scores."""
    evaluator = SimpleNamespace(metrics=[SimpleNamespace(undefined=undefined), SimpleNamespace()])
    hub = MessageHub('best_runner')
    return SimpleNamespace(iter=3, epoch=0, val_loop=SimpleNamespace(evaluator=evaluator), message_hub=hub,
                           optim_wrapper=None, save_checkpoint=lambda *_, **__: None,
                           logger=logging.getLogger())


def test_a_score_that_is_undefined_now_is_no_best_one_and_stops_nothing() -> None:
    hook = AtomicCheckpointHook(interval=1, by_epoch=False, save_best=['bcd/F1', 'mIoU'], rule='greater')
    hook.file_backend = Folder()
    hook.best_ckpt_path_dict, saved = {'bcd/F1': None, 'mIoU': None}, []
    hook.out_dir, hook._save_checkpoint_with_step = 'work', lambda *args, **more: saved.append(args)
    runner = best_runner({'bcd/F1'})
    hook.file_backend.join_path = lambda *parts: '/'.join(parts)  # type: ignore[attr-defined]
    hook._save_best_checkpoint(runner, {'bcd/OA': 1.0, 'mIoU': 0.5})
    info = runner.message_hub.runtime_info
    assert info['best_score_mIoU'] == 0.5 and 'best_score_bcd/F1' not in info


def test_a_score_that_no_metric_gives_is_told_with_those_there_are() -> None:
    hook = AtomicCheckpointHook(interval=1, save_best='bcd/f1', rule='greater')
    with pytest.raises(ValueError, match=r"save_best='bcd/f1' is no score.*bcd/OA, bcd/F1\. Did you mean 'bcd/F1'"):
        hook._save_best_checkpoint(best_runner({'AP'}), {'bcd/OA': 1.0, 'bcd/F1': 0.5, 'bcd/F1_lo': 0.4})


def test_progress_draws_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: False)
    hook = RichProgressHook()
    hook.before_train(SimpleNamespace(max_iters=3, iter=0))
    hook.after_train_iter(SimpleNamespace(max_iters=3, iter=0), 0, outputs={'loss': torch.tensor(1.0)})
    hook.close()
    assert hook._progress is None


class Items:
    """A data set whose sample is a random number."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> float:
        if index == 3:
            raise ValueError('bad')
        return float(torch.rand(()))

    def get_data_info(self, index: int) -> dict[str, str]:
        return {'img_path': f'{index}.png', 'seg_map_path': f'{index}_label.png'}


def test_a_sample_depends_on_its_place_only() -> None:
    fetch = SeededFetch(Items(), seed=3, rank=0)
    first = fetch([Draw.at(0, 0, 5), Draw.at(1, 0, 6)])
    torch.rand(17)
    assert fetch([Draw.at(1, 0, 6)]) == first[1:]
    assert fetch([Draw.at(1, 1, 6)]) != first[1:]
    assert SeededFetch(Items(), seed=3, rank=1)([Draw.at(1, 0, 6)]) != first[1:]


def test_a_failing_sample_names_its_files() -> None:
    with pytest.raises(SampleError, match=r'sample 3 \(3\.png, 3_label\.png\).*ValueError: bad'):
        SeededFetch(Items(), 0, 0)([3])


def test_positions_restart_by_epoch_and_go_on_by_iteration() -> None:
    loop = SimpleNamespace(epoch=2)
    by_epoch = NumberedSampler([5, 6], loop, by_epoch=True)
    assert [(int(d), d.epoch, d.position) for d in [*by_epoch, *by_epoch]] == [(5, 2, 0), (6, 2, 1)] * 2
    endless = NumberedSampler([5, 6], loop, by_epoch=False, start=8)
    assert [(d.epoch, d.position) for d in [*endless, *endless]] == [(0, 8), (0, 9), (0, 10), (0, 11)]
    assert len(endless) == 2


def test_iterations_differ_by_seed_rank_and_number() -> None:
    drawn = set()
    for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        seed_iteration(*key)
        drawn.add(float(torch.rand(())))
    assert len(drawn) == 4
