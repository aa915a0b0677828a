"""Rounds of ReDB in space: files, quotas, resume, memory, ranks; the same hook and filters as in images."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')
pytest.importorskip('mmdet')

from imbdense.core.boxes3d import bev_iou
from imbdense.core.pseudo_label import overlapped_box_count
from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.pseudo_label.redb_world import transforms_of
from imbdense.mm.transforms.bank_paste_3d import BankPaste3d
from imbdense.mm.transforms.pseudo_boxes_3d import PseudoBoxes3d
from tests.mm.hooks.redb_3d_run import HOOK, config, one_round, runner


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def pastes(made: Any) -> list[BankPaste3d]:
    return list(transforms_of(made.train_dataloader.dataset, BankPaste3d))


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """(folder with data and run, runner) of an uninterrupted run."""
    root = tmp_path_factory.mktemp('redb3d')
    made = runner(root / 'data', root / 'run')
    made.train()
    return root, made


def test_rounds_leave_labels_report_and_bank(whole: tuple[Path, Any]) -> None:
    root, made = whole
    bank = InstanceBank.open(root / 'run' / 'pseudo_bank')
    assert bank.rounds == [0, 1] and bank.modality == 'points' and len(bank)
    for number in (0, 1):
        folder = root / 'run' / 'pseudo_rounds' / f'round_{number:03d}'
        report, labels = read(folder / 'pseudo_report.json'), read(folder / 'pseudo_labels.json')
        names = [step['filter'] for step in report['table']['filters']]
        left = [step['left'] for step in report['table']['filters']]
        examined = ['examination'] if number == 0 else []
        assert names == ['predicted', 'minimum score', 'score band', 'class threshold', 'size', *examined, 'diversity']
        assert all(a >= b for before, after in pairwise(left) for a, b in zip(before, after))
        assert sum(left[4]) > 0 and left[-1][0] == max(left[-2][0] // 2, min(left[-2][0], 1))
        positive = sum(not ignored for scene in labels['scenes'] for ignored in scene['ignored'])
        assert positive == sum(left[4])  # rejected boxes stay labels of their own scene
        assert len(labels['scenes']) == 4 and labels['classes'] == ['Car', 'Pedestrian', 'Cyclist']
    (taker,) = transforms_of(made.train_dataloader.dataset, PseudoBoxes3d)
    assert len(taker._labels) == 4
    saved = torch.load(root / 'run' / 'epoch_4.pth', weights_only=False)['meta']['imbdense']['pseudo_round']
    assert saved == {'round': 1, 'bank': bank.checksum}


def test_quotas_follow_the_rounds_and_the_loss_begins_with_them(whole: tuple[Path, Any]) -> None:
    _, made = whole
    assert [paste.quota for paste in pastes(made)] == [2, 1]  # pseudo: 1 + 1; labelled: 2 - 1
    kept = made.message_hub.log_scalars['train/stat_pseudo_kept'].data[0]
    steps = len(kept) // 4
    assert not np.any(kept[:steps]) and np.all(kept[steps:] > 0)
    losses = made.message_hub.log_scalars['train/loss'].data[0]
    assert not np.any(losses[:steps]) and np.all(losses[steps:] > 0)
    rates = made.message_hub.log_scalars['train/lr'].data[0]
    assert rates[steps] == rates[0] < rates[steps - 1]  # the schedule began anew


def test_resume_inside_a_round_equals_the_uninterrupted_run(whole: tuple[Path, Any]) -> None:
    """From the end of epoch 2, inside round 0: nothing is made again; quotas, pool and weights are equal at the end."""
    root, made = whole
    first = root / 'run' / 'pseudo_rounds' / 'round_000' / 'pseudo_labels.json'
    before = first.stat().st_mtime_ns
    resumed = runner(root / 'data', root / 'run', resume=True, load_from=str(root / 'run' / 'epoch_2.pth'))
    resumed.train()
    assert first.stat().st_mtime_ns == before
    for name, value in made.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for one, other in zip(pastes(made), pastes(resumed)):
        assert (one.quota, one.last_round) == (other.quota, other.last_round)


def test_round_counts_examines_and_remembers(whole: tuple[Path, Any], tmp_path: Path) -> None:
    """OBC of the saved record is that of the shared function; a vanished box: kept, ignored, gone."""
    one_round(whole[0] / 'data', tmp_path / 'out')
    first = read(tmp_path / 'out' / 'round_000' / 'pseudo_labels.json')['scenes']
    keep = [box for scene in first for box, ignored in zip(scene['boxes'], scene['ignored']) if not ignored]
    assert keep
    states = []
    for number in (1, 2, 3):
        one_round(whole[0] / 'data', tmp_path / 'out', number, score_thr=1.0)  # finds nothing
        scenes = read(tmp_path / 'out' / f'round_{number:03d}' / 'pseudo_labels.json')['scenes']
        states.append([(box, ignored) for scene in scenes for box, ignored in zip(scene['boxes'], scene['ignored'])])
    assert [box for box, ignored in states[0] if not ignored] == keep
    assert all(ignored for _, ignored in states[1]) and len(states[1]) == len(states[0]) and states[2] == []
    with np.load(tmp_path / 'out' / 'round_000' / 'outputs' / 'shard_00000.npz') as content:
        boxes, counts = content['0/boxes'], content['0/overlap_count']
    own = overlapped_box_count(boxes, boxes, np.ones(len(boxes)), iou=bev_iou)
    assert (counts >= own).all() and counts.max() > own.max()  # proposals hold the boxes themselves, and more


def test_examination_keeps_what_the_model_finds_again(whole: tuple[Path, Any], tmp_path: Path) -> None:
    """An overlap of nearly 1 is asked: hardly a random detection survives among other points; at 0.01 nearly all do."""
    one_round(whole[0] / 'data', tmp_path / 'strict', examine_iou=0.999)
    one_round(whole[0] / 'data', tmp_path / 'lax', examine_iou=0.01)
    left = {}
    for name in ('strict', 'lax'):
        table = read(tmp_path / name / 'round_000' / 'pseudo_report.json')['table']['filters']
        left[name] = {step['filter']: sum(step['left']) for step in table}
    assert left['strict']['size'] == left['lax']['size']
    assert left['strict']['examination'] < left['lax']['examination'] <= left['lax']['size']


def test_errors(whole: tuple[Path, Any], tmp_path: Path) -> None:
    from mmengine.runner import Runner

    cfg = config(whole[0] / 'data', tmp_path / 'run', hook={**HOOK, 'rounds': [0]})
    pipeline = cfg.train_dataloader.dataset.unlabeled.pipeline
    pipeline[1] = {'type': 'imbdense.LoadBoxes3d'}
    with pytest.raises(ValueError, match='no pipeline of the training data has'):
        Runner.from_cfg(cfg).train()


@pytest.mark.slow
def test_two_ranks_make_the_same_round(whole: tuple[Path, Any], tmp_path: Path) -> None:
    from tests.helpers.two_ranks import run_two_ranks

    checksum = one_round(whole[0] / 'data', tmp_path / 'one')
    assert run_two_ranks(one_round, whole[0] / 'data', tmp_path / 'two') == [checksum] * 2
    for name in ('pseudo_labels.json', 'pseudo_report.json', 'memory.pt'):
        one, two = (tmp_path / kind / 'round_000' / name for kind in ('one', 'two'))
        assert one.read_bytes() == two.read_bytes(), name
