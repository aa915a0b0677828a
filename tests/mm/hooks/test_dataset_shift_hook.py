"""DatasetShiftHook on a real runner: numbers, warning, weights, an untouched training, two ranks, wrong use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.runner import Runner

from tests.helpers.two_ranks import run_two_ranks
from tests.mm.hooks import shift_run


def hook(**options: Any) -> dict[str, Any]:
    return {'type': 'imbdense.DatasetShiftHook', 'interval': 10, 'max_vectors': 2000, **options}


def train(folder: Path, options: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch, **dataset: Any) -> Any:
    """(runner after 12 iterations, warnings, scalars)."""
    from mmengine.logging import MMLogger
    from mmengine.visualization import Visualizer

    warned: list[str] = []
    scalars: dict[str, float] = {}
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args, **kwargs: warned.append(str(text)))
    monkeypatch.setattr(Visualizer, 'add_scalars', lambda self, values, **kwargs: scalars.update(values))
    shift_run.SEEN.clear()
    runner = Runner.from_cfg(shift_run.config(folder, options, **dataset))
    runner.train()
    return runner, [text for text in warned if 'DatasetShiftHook' in text], scalars


def found(runner: Any) -> Any:
    return next(h for h in runner.hooks if type(h).__name__ == 'DatasetShiftHook')


def test_equal_sides_do_not_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, warned, scalars = train(tmp_path, hook(), monkeypatch)
    assert not warned and found(runner).report.images == (40, 40)
    assert {'shift/fd_inf', 'shift/p', 'shift/tv_prior'} <= set(scalars) and scalars['shift/p'] > 0.05
    assert shift_run.SEEN[-1] == [1.0] * 4, "action='warn' writes no weight"


def test_inverted_images_warn_and_are_weighted_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, warned, scalars = train(tmp_path, hook(action='downweight'), monkeypatch, iterations=20, invert_from=20)
    assert len(warned) == 2 and 'a prediction, not a verdict' in warned[0] and scalars['shift/p'] < 0.05
    assert max(map(max, shift_run.SEEN[:9])) == 1.0, 'no weight before the first measurement'
    like, unlike = np.array(shift_run.SEEN[10:15]), np.array(shift_run.SEEN[15:20])  # images 0 to 19, 20 to 39
    assert like.mean() > 1.3 and unlike.mean() < 0.5
    assert np.concatenate([like, unlike]).mean() == pytest.approx(1.0, abs=0.15)


def test_training_is_the_same_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = train(tmp_path / 'a', None, monkeypatch)[0].model.state_dict()
    for name, options in (('b', hook(interval=5)), ('c', hook(interval=5, action='downweight'))):
        watched = train(tmp_path / name, options, monkeypatch)[0].model.state_dict()
        assert all(torch.equal(plain[key], watched[key]) for key in plain), 'this model ignores the weights'


def test_modes_are_given_back() -> None:
    from imbdense.mm.hooks.branch_features import only_looking

    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout())
    model[0].eval()
    with only_looking(model):
        assert not model.training and not torch.is_grad_enabled()
    assert model.training and not model[0].training and model[1].training and torch.is_grad_enabled()


def test_wrong_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no layer 'backbone\.layer9'"):
        train(tmp_path / 'a', hook(layer='backbone.layer9'), monkeypatch)
    with pytest.raises(ValueError, match="no branch 'labelled'; it has"):
        train(tmp_path / 'b', hook(labelled='labelled'), monkeypatch)
    from imbdense.mm.hooks.branch_features import branch_items

    with pytest.raises(ValueError, match='the batch has no branches'):
        branch_items({'inputs': [torch.zeros(3, 4, 4)]}, 'sup')
    from imbdense.mm.hooks.dataset_shift_hook import DatasetShiftHook

    with pytest.raises(ValueError, match='action'):
        DatasetShiftHook(action='stop')


def on_this_rank(folder: str) -> tuple[float, float, tuple[int, int]]:
    rank = torch.distributed.get_rank()
    cfg = shift_run.config(Path(folder) / f'rank{rank}', hook(interval=5), iterations=5)
    cfg.launcher = 'none'
    runner = Runner.from_cfg(cfg)
    runner.train()
    report = found(runner).report
    return report.features.fd_inf, report.prior.total_variation, report.images


@pytest.mark.slow
def test_two_ranks_see_the_images_of_both(tmp_path: Path) -> None:
    first, second = run_two_ranks(on_this_rank, str(tmp_path))
    assert first == second and first[2] == (40, 40), '5 iterations x 4 images x 2 ranks'
