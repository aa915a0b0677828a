"""Spectra written during real steps, with any optimizer, and after a resume."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmengine')

from mmengine.logging import MessageHub

from imbdense.core.optim import MuonAdamW, spectrum_metrics
from imbdense.mm.hooks.spectrum_hook import SpectrumHook


def runner_of(folder: Path, make: Any) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 1))
    return SimpleNamespace(
        model=model, optim_wrapper=SimpleNamespace(optimizer=make(model.parameters())), work_dir=str(folder), iter=0,
        message_hub=MessageHub(f'spectrum_{folder.name}'),
    )  # fmt: skip


def run(hook: SpectrumHook, runner: Any, until: int, accumulate: int = 1) -> None:
    """Iterations as the training loop calls the hook."""
    hook.before_train(runner)
    optimizer = runner.optim_wrapper.optimizer
    while runner.iter < until:
        hook.before_train_iter(runner, 0)
        runner.model(torch.randn(5, 6)).square().mean().backward()
        if (runner.iter + 1) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        hook.after_train_iter(runner, 0)
        runner.iter += 1


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / 'imbdense' / 'spectrum.csv').open(newline='') as handle:
        return list(csv.DictReader(handle))


def test_rows_and_values(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, lambda p: MuonAdamW(p, 0.1))
    run(SpectrumHook(interval=4, layers=['weight'], top_k=2), runner, 8)
    found = rows(tmp_path)
    assert [(row['iter'], row['layer'], row['of']) for row in found[:4]] == [
        ('1', '0.weight', 'weight'), ('1', '0.weight', 'update'),
        ('1', '2.weight', 'weight'), ('1', '2.weight', 'update'),
    ]  # fmt: skip
    assert sorted({int(row['iter']) for row in found}) == [1, 4, 8]
    assert '4.weight' not in {row['layer'] for row in found}  # a single row has no spectrum
    wanted = spectrum_metrics(runner.model[2].weight, top_k=2)
    assert {key: float(found[-2][key]) for key in wanted} == pytest.approx(wanted)
    updates = [row for row in found if row['of'] == 'update' and row['iter'] == '8']
    rms = [float(row['rms']) for row in updates]
    assert all(0.1 * 0.1 < value < 0.1 * 0.25 for value in rms)  # lr x about 0.2
    logged = runner.message_hub.get_scalar('train/muon/eff_rank').current()
    assert logged == pytest.approx(sum(float(row['effective_rank']) for row in updates) / 2)
    assert runner.message_hub.get_scalar('train/muon/update_rms').current() == pytest.approx(sum(rms) / 2)
    assert runner.message_hub.get_scalar('train/muon/skipped').current() == 0


def test_muon_updates_are_flatter_than_those_of_adam(tmp_path: Path) -> None:
    entropy = {}
    for name, make in (('muon', lambda p: MuonAdamW(p, 0.01)), ('adam', lambda p: torch.optim.Adam(p, 0.01))):
        (tmp_path / name).mkdir()
        run(SpectrumHook(interval=10, layers=2), runner_of(tmp_path / name, make), 10)
        last = [row for row in rows(tmp_path / name) if row['of'] == 'update' and row['iter'] == '10']
        entropy[name] = sum(float(row['svd_entropy']) for row in last) / len(last)
    print(entropy)
    assert entropy['muon'] > entropy['adam'] + 0.1


def test_other_optimizers_are_written_but_not_logged(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, lambda p: torch.optim.SGD(p, 0.1))
    run(SpectrumHook(layers=1), runner, 2)
    assert len(rows(tmp_path)) == 2 and 'train/muon/skipped' not in runner.message_hub.log_scalars


def test_accumulated_gradients_are_waited_for(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, lambda p: MuonAdamW(p, 0.1))
    run(SpectrumHook(interval=4, layers=1), runner, 9, accumulate=3)
    assert sorted({int(row['iter']) for row in rows(tmp_path)}) == [3, 6, 9]


def test_a_resumed_run_goes_on(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, lambda p: MuonAdamW(p, 0.1))
    run(SpectrumHook(interval=2, layers=1), runner, 6)
    runner.iter = 4  # the checkpoint
    run(SpectrumHook(interval=2, layers=1), runner, 8)
    assert [int(row['iter']) for row in rows(tmp_path)[::2]] == [1, 2, 4, 6, 8]
    runner.iter = 0
    run(SpectrumHook(interval=2, layers=1), runner, 2)
    assert [int(row['iter']) for row in rows(tmp_path)[::2]] == [1, 2]


def test_zero_matrix_and_mistakes(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, lambda p: MuonAdamW(p, 0.1))
    with torch.no_grad():
        runner.model[0].weight.zero_()
    run(SpectrumHook(layers=['0.weight']), runner, 1)
    assert math.isfinite(float(rows(tmp_path)[0]['effective_rank']))  # it moved away from zero
    with pytest.raises(ValueError, match='matches no matrix'):
        SpectrumHook(layers=['decode']).before_train(runner)
    with pytest.raises(ValueError, match='interval'):
        SpectrumHook(interval=0)
