"""DecoupledStage2Hook in real runs: what learns, what starts anew, what a checkpoint holds, resume, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmengine')

from torch import nn

from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.hooks.decoupled_stage2_hook import add_class_scale
from tests.mm.hooks.phase_run import RecordingModel, seen, train


def stage2(**options: Any) -> list[dict[str, Any]]:
    return [{'type': 'imbdense.DecoupledStage2Hook', 'trainable': ['head'], **options}]


@pytest.fixture(scope='module')
def stage1(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checkpoint of the first stage."""
    folder = tmp_path_factory.mktemp('stage1')
    train(folder, [])
    return str(folder / 'iter_40.pth')


def moved(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> set[str]:
    return {key for key in first if not torch.equal(first[key], second[key])}


def test_crt_starts_the_classifier_anew_and_trains_nothing_else(tmp_path: Path, stage1: str) -> None:
    run = train(tmp_path, stage2(), load_from=stage1, optimizer={'type': 'SGD', 'lr': 0.0})
    before, after = load_checkpoint(stage1)['state_dict'], load_checkpoint(tmp_path / 'iter_40.pth')['state_dict']
    assert moved(before, after) == {'head.weight', 'head.bias'}, 'at learning rate 0 only the fresh start shows'
    held = [p for group in run.optim_wrapper.optimizer.param_groups for p in group['params']]
    assert {id(p) for p in held} == {id(p) for p in run.model.head.parameters()}
    assert not any(step['norm'] for step in seen(run)), 'running statistics of the backbone stay'


def test_crt_learns(tmp_path: Path, stage1: str) -> None:
    train(tmp_path, stage2(reinit=False), load_from=stage1)
    before, after = load_checkpoint(stage1)['state_dict'], load_checkpoint(tmp_path / 'iter_40.pth')['state_dict']
    assert moved(before, after) == {'head.weight', 'head.bias'}


def test_norms_move_where_that_is_wanted(tmp_path: Path, stage1: str) -> None:
    run = train(tmp_path, stage2(freeze_bn=False), load_from=stage1)
    assert all(step['norm'] for step in seen(run))


def test_lws_learns_one_factor_per_class_and_saves_an_ordinary_model(tmp_path: Path, stage1: str) -> None:
    run = train(tmp_path, stage2(mode='lws'), load_from=stage1)
    before, saved = load_checkpoint(stage1)['state_dict'], load_checkpoint(tmp_path / 'iter_40.pth')['state_dict']
    scale = run.model.head.class_scale
    held = [p for group in run.optim_wrapper.optimizer.param_groups for p in group['params']]
    assert len(held) == 1 and held[0] is scale and not torch.equal(scale, torch.ones(3))
    assert torch.equal(run.model.head.weight, before['head.weight']), 'the classifier itself stays'
    assert saved.keys() == before.keys()
    assert torch.allclose(saved['head.weight'], before['head.weight'] * scale[:, None])
    assert torch.allclose(saved['head.bias'], before['head.bias'] * scale), 'the factor scales the bias too'
    plain = RecordingModel()
    plain.load_state_dict(saved)
    batch = [torch.randn(4) for _ in range(5)]
    features = run.model.eval().backbone(torch.stack(batch))
    assert torch.allclose(plain.eval().head(features), run.model.head(features), atol=1e-6)


@pytest.mark.parametrize('mode', ['crt', 'lws'])
def test_a_resumed_second_stage_goes_on_bit_equal(tmp_path: Path, stage1: str, mode: str) -> None:
    train(tmp_path / 'whole', stage2(mode=mode), load_from=stage1, interval=20)
    start = str(tmp_path / 'whole' / 'iter_20.pth')
    train(tmp_path / 'rest', stage2(mode=mode), load_from=start, resume=True)
    one, two = (load_checkpoint(tmp_path / name / 'iter_40.pth') for name in ('whole', 'rest'))
    assert not moved(one['state_dict'], two['state_dict'])
    at = load_checkpoint(tmp_path / 'whole' / 'iter_20.pth')['state_dict']
    assert moved(at, two['state_dict']) == {'head.weight', 'head.bias'}


@pytest.mark.parametrize(
    ('options', 'load', 'words'),
    [
        ({'trainable': ['hed']}, True, r"'hed' is not in the model; .*'head'"),
        ({'trainable': ['backbone'], 'mode': 'lws'}, True, "'backbone' is a Sequential"),
        ({'trainable': ['backbone.2']}, True, "'backbone.2' is a ReLU"),
        ({}, False, 'Set load_from'),
        ({'mode': 'tau'}, True, 'mode must be one of'),
    ],
)
def test_mistakes_are_named(tmp_path: Path, stage1: str, options, load, words) -> None:
    with pytest.raises(ValueError, match=words):
        train(tmp_path, stage2(**options), load_from=stage1 if load else None)


@pytest.mark.parametrize(
    ('layer', 'shape'),
    [(nn.Linear(4, 3), (5, 4)), (nn.Conv2d(4, 3, 1), (2, 4, 6, 7)), (nn.Conv3d(4, 3, 1), (2, 4, 2, 3, 5)),
     (nn.Conv1d(4, 3, 1, bias=False), (2, 4, 9))],
    ids=['linear', 'pixels', 'voxels', 'points'],
)  # fmt: skip
def test_factor_of_each_kind_of_classifier(layer: nn.Module, shape: tuple[int, ...]) -> None:
    value = torch.randn(shape)
    plain = layer(value)
    scale = add_class_scale(layer)
    assert torch.equal(layer(value), plain), 'starts as it was'
    with torch.no_grad():
        scale.copy_(torch.tensor([2.0, 1.0, 0.5]))
    dim = -1 if isinstance(layer, nn.Linear) else 1
    first, _, last = layer(value).unbind(dim)
    assert torch.equal(first, 2 * plain.select(dim, 0)) and torch.equal(last, 0.5 * plain.select(dim, 2))
