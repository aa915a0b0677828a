"""Schedules of a running training that begin anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet')

from tests.mm.hooks.redb_run import HOOK, runner

ONE_CYCLE = [{'type': 'OneCycleLR', 'eta_max': 1e-3, 'total_steps': 8, 'pct_start': 0.5, 'by_epoch': False}]
LINEAR_THEN_COSINE = [
    {'type': 'LinearLR', 'start_factor': 0.1, 'begin': 0, 'end': 3, 'by_epoch': False},
    {'type': 'CosineAnnealingLR', 'T_max': 5, 'begin': 3, 'end': 8, 'by_epoch': False},
]
RESTARTING = {**HOOK, 'rounds': [0, 2], 'restart_schedule': True, 'cde': None}


def rates(made: Any) -> list[float]:
    """The learning rate of every step."""
    return made.message_hub.log_scalars['train/lr'].data[0].tolist()


@pytest.mark.slow
@pytest.mark.parametrize('schedule', [ONE_CYCLE, LINEAR_THEN_COSINE], ids=['one cycle', 'two parts'])
def test_a_new_round_begins_the_schedule_anew(tmp_path: Path, schedule: list[dict[str, Any]]) -> None:
    """Four steps an epoch, a schedule of eight steps: epochs 2 and 3 repeat epochs 0 and 1; also after a resume."""
    whole = runner(tmp_path / 'data', tmp_path / 'run', hook=RESTARTING, schedule=schedule)
    whole.train()
    found = rates(whole)
    assert len(found) == 16 and found[:8] == pytest.approx(found[8:]) and len(set(found[:8])) > 4
    for epoch in (2, 3):  # at the beginning of round 1, and inside it
        resumed = runner(tmp_path / 'data', tmp_path / 'run', hook=RESTARTING, schedule=schedule, resume=True,
                         load_from=os.fspath(tmp_path / 'run' / f'epoch_{epoch}.pth'))
        resumed.train()
        assert rates(resumed)[-4 * (4 - epoch):] == pytest.approx(found[-4 * (4 - epoch):])
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.slow
def test_without_restart_it_goes_on(tmp_path: Path) -> None:
    made = runner(tmp_path / 'data', tmp_path / 'run', hook={**RESTARTING, 'restart_schedule': False},
                  schedule=LINEAR_THEN_COSINE)
    made.train()
    found = rates(made)
    assert len(set(found[8:])) == 1 and found[8] < 0.2 * max(found)  # the value it ended with


def test_a_schedule_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='needs a param_scheduler'):
        runner(tmp_path / 'data', tmp_path / 'run', hook=RESTARTING).train()
