"""Rounds of ReDB inside a training run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.hooks.pseudo_label_round_hook import PseudoLabelRoundHook
from imbdense.mm.pseudo_label import redb_images, redb_round
from imbdense.mm.pseudo_label.redb_world import transforms_of
from imbdense.mm.transforms.bank_paste import BankPaste
from tests.mm.hooks.redb_run import HOOK, config, one_round, runner


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def pastes(made: Any) -> list[BankPaste]:
    """The transforms of a runner that paste."""
    return list(transforms_of(made.train_dataloader.dataset, BankPaste))


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """(folder with data and run, runner) of an uninterrupted run."""
    root = tmp_path_factory.mktemp('redb')
    made = runner(root / 'data', root / 'run')
    made.train()
    return root, made


def test_rounds_leave_labels_report_and_bank(whole: tuple[Path, Any]) -> None:
    root, _ = whole
    bank = InstanceBank.open(root / 'run' / 'pseudo_bank')
    assert bank.rounds == [0, 1]
    for number in (0, 1):
        folder = root / 'run' / 'pseudo_rounds' / f'round_{number:03d}'
        report, labels = read(folder / 'pseudo_report.json'), read(folder / 'pseudo_labels.json')
        names = [step['filter'] for step in report['table']['filters']]
        left = [step['left'] for step in report['table']['filters']]
        examined = ['examination'] if number == 0 else []
        assert names == ['predicted', 'minimum score', 'score band', 'class threshold', 'size', *examined, 'diversity']
        assert all(a >= b for before, after in pairwise(left) for a, b in zip(before, after))
        assert sum(left[4]) > 0 and left[-1][0] == max(left[-2][0] // 2, min(left[-2][0], 1))
        single = InstanceBank.open(root / 'run' / 'pseudo_bank', 'first' if number == 0 else 'latest')
        assert single.counts.tolist() == left[-1]
        positive = [item for item in labels['annotations'] if not item['iscrowd']]
        assert len(positive) == sum(left[4])  # rejected boxes stay labels of their own image
    assert len(labels['images']) == 4


def test_student_learns_from_the_first_round_on(whole: tuple[Path, Any]) -> None:
    """Epoch 0 has no labels; quotas are those of round 1 at the end; the checkpoint names round and bank."""
    root, made = whole
    history = made.message_hub.log_scalars['train/stat_pseudo_kept'].data[0]
    steps = len(history) // 4
    assert not np.any(history[:steps]) and np.all(history[steps:] > 0)
    (paste,) = pastes(made)
    assert (paste.quota, paste.last_round) == (2, 1)
    saved = torch.load(root / 'run' / 'epoch_4.pth', weights_only=False)['meta']['imbdense']['pseudo_round']
    assert saved == {'round': 1, 'bank': InstanceBank.open(root / 'run' / 'pseudo_bank').checksum}


@pytest.mark.slow
def test_resume_inside_a_round_makes_nothing_again(whole: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of epoch 2 (inside round 0): the files stay, round 1 is made from equal weights, equal end."""
    root, made = whole
    first = root / 'run' / 'pseudo_rounds' / 'round_000' / 'pseudo_labels.json'
    before = first.stat().st_mtime_ns
    calls: list[int] = []
    real = redb_round.save_predictions
    monkeypatch.setattr(redb_round, 'save_predictions', lambda *a: calls.append(1) or real(*a))
    resumed = runner(root / 'data', root / 'run', resume=True, load_from=str(root / 'run' / 'epoch_2.pth'))
    resumed.train()
    assert first.stat().st_mtime_ns == before
    assert calls == []  # round 1 is complete as well, and of the same weights: it is entered, not made
    for name, value in made.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    (before_paste,), (paste,) = pastes(made), pastes(resumed)
    assert (paste.quota, paste.last_round) == (before_paste.quota, before_paste.last_round) == (2, 1)


@pytest.mark.slow
def test_other_bank_or_weights_are_refused(whole: tuple[Path, Any], tmp_path: Path) -> None:
    import shutil

    root, _ = whole
    shutil.copytree(root / 'run', tmp_path / 'run')
    content = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=False)
    content['meta']['imbdense']['pseudo_round']['bank'] = 'other'
    torch.save(content, tmp_path / 'run' / 'epoch_2.pth')
    changed = runner(root / 'data', tmp_path / 'run', resume=True, load_from=str(tmp_path / 'run' / 'epoch_2.pth'))
    with pytest.raises(ValueError, match='not the bank this checkpoint was trained with'):
        changed.train()
    fresh = runner(root / 'data', tmp_path / 'run')  # a new run in the folder of an old one
    torch.nn.init.zeros_(fresh.model.student.bbox_head.retina_cls.bias)
    fresh.model.student.bbox_head.retina_cls.weight.data *= 2
    with pytest.raises(ValueError, match='pseudo-labels of something else'):
        fresh.train()


@pytest.mark.slow
def test_interrupted_round_goes_on(whole: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the examination: the predictions are kept, and the result is that of the uninterrupted run."""
    root, _ = whole
    real = redb_images.examined_record

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(redb_images, 'examined_record', stop)
    with pytest.raises(KeyboardInterrupt):
        runner(root / 'data', tmp_path / 'run', epochs=2).train()
    monkeypatch.setattr(redb_images, 'examined_record', real)
    folder = tmp_path / 'run' / 'pseudo_rounds' / 'round_000'
    shard = next((folder / 'outputs').glob('shard_*.npz'))
    before = shard.stat().st_mtime_ns
    runner(root / 'data', tmp_path / 'run', epochs=2, resume=True,
           load_from=str(tmp_path / 'run' / 'epoch_1.pth')).train()
    assert shard.stat().st_mtime_ns == before
    expected = root / 'run' / 'pseudo_rounds' / 'round_000' / 'pseudo_labels.json'
    assert (folder / 'pseudo_labels.json').read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_nothing_predicted(tmp_path: Path) -> None:
    """An empty bank and empty labels: the run goes on, the unsupervised terms are zero."""
    made = runner(tmp_path / 'data', tmp_path / 'run', epochs=2, hook={**HOOK, 'min_score': 1.0})
    made.train()
    assert len(InstanceBank.open(tmp_path / 'run' / 'pseudo_bank')) == 0
    assert not np.any(made.message_hub.log_scalars['train/unsup_loss_cls'].data[0])


def test_errors(tmp_path: Path) -> None:
    rule = HOOK['rule']
    for arguments, words in (
        ({'rounds': [3, 1]}, 'rising'), ({'rounds': [0], 'cde': {'iou': 0.5}}, 'known are'),
        ({'rounds': [0], 'cde': {'on_reject': 'drop'}}, 'on_reject'), ({'rounds': [0], 'min_score': 2.0}, 'min_score'),
    ):
        with pytest.raises(ValueError, match=words):
            PseudoLabelRoundHook(rule=rule, **arguments)
    cfg = config(tmp_path / 'data', tmp_path / 'run', hook={**HOOK, 'obc': {'rate': {'lorry': 2}}})
    from mmengine.runner import Runner

    with pytest.raises(ValueError, match='lorry'):
        Runner.from_cfg(cfg).train()


@pytest.mark.slow
def test_two_ranks_make_the_same_round(whole: tuple[Path, Any], tmp_path: Path) -> None:
    from tests.helpers.two_ranks import run_two_ranks

    checksum = one_round(whole[0] / 'data', tmp_path / 'one')
    assert run_two_ranks(one_round, whole[0] / 'data', tmp_path / 'two') == [checksum] * 2
    one, two = tmp_path / 'one' / 'round_000', tmp_path / 'two' / 'round_000'
    for name in ('pseudo_labels.json', 'pseudo_report.json', 'pseudo_sidecar.json', 'memory.pt'):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
