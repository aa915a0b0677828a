"""Pre-training without labels and training from it, by ``imbdense train``: names, logs, the check, exact resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import DefaultScope

from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import load_checkpoint
from tests.mm.datasets.semi_data import labeled_config, unlabeled_config, write_semi
from tests.mm.segmentors.semi_cases import PREPROCESSOR, fcn

TASK = dict(type='imbdense.DenseCLTask', dim=8, queue_size=10, momentum=0.9, grid=2)
VIEWS = dict(type='imbdense.TwoCropViews', transforms=[
    dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion')])


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def write(folder: Path, model: dict[str, Any], dataset: dict[str, Any], iterations: int, hooks: Any = ()) -> Path:
    """A run of a few iterations without validation."""
    config = Config(dict(
        default_scope='mmseg', model=model,
        train_dataloader=dict(
            batch_size=4, num_workers=0, dataset=dataset, sampler=dict(type='InfiniteSampler', shuffle=True)),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=100), val_cfg=None,
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False)),
        custom_hooks=list(hooks),
        log_processor=dict(by_epoch=False, window_size=1),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
        randomness=dict(seed=3),
    ))  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(str(folder / 'config.py'))
    return folder / 'config.py'


def pretraining(folder: Path, data: Path, iterations: int) -> Path:
    """On the images without labels."""
    model = dict(type='imbdense.SSPPretrainer', backbone=fcn()['backbone'], in_channels=8, task=TASK,
                 data_preprocessor=PREPROCESSOR)
    pipeline = [dict(type='LoadImageFromFile'), VIEWS]
    return write(folder, model, {**unlabeled_config(data), 'pipeline': pipeline}, iterations)


def finetuning(folder: Path, data: Path, checkpoint: Path, **changes: Any) -> Path:
    """On the labelled ones, from the checkpoint."""
    model = fcn()
    model['backbone'].update(
        init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.'), **changes)
    return write(folder, model, labeled_config(data), 1, [dict(type='imbdense.SSPLoadHook')])


def train(config: Path, work_dir: Path, *flags: str) -> None:
    assert run_verb('train', [str(config), '--work-dir', str(work_dir), *flags]) == 0


def logged(work_dir: Path) -> list[dict[str, float]]:
    """Terms of each iteration."""
    lines = [line for file in work_dir.glob('*/vis_data/scalars.json') for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_pretrain_then_train_from_it(tmp_path: Path, capsys: Any) -> None:
    data = write_semi(tmp_path / 'data')
    train(pretraining(tmp_path / 'ssp', data, 2), tmp_path / 'ssp_run')
    first = logged(tmp_path / 'ssp_run')[0]
    assert first['loss'] == pytest.approx(first['loss_global'] + first['loss_dense'], rel=1e-5)
    assert first['stat_embedding_spread'] > 0.05
    checkpoint = tmp_path / 'ssp_run' / 'iter_2.pth'
    train(finetuning(tmp_path / 'fine', data, checkpoint), tmp_path / 'fine_run', '--cfg-options',
          'optim_wrapper.optimizer.lr=0.0', 'optim_wrapper.optimizer.weight_decay=0.0')
    ssp, fine = (load_checkpoint(file)['state_dict'] for file in (checkpoint, tmp_path / 'fine_run' / 'iter_1.pth'))
    weights = [key for key in ssp if key.startswith('backbone.') and key.endswith('conv.weight')]
    assert len(weights) > 5 and all(torch.equal(ssp[key], fine[key]) for key in weights)
    log = ''.join(file.read_text() for file in (tmp_path / 'fine_run').glob('*/*.log'))
    assert 'tensors of backbone (100.0%)' in log
    other = finetuning(tmp_path / 'other', data, checkpoint, base_channels=4)
    assert run_verb('train', [str(other), '--work-dir', str(tmp_path / 'other_run')]) == 2
    assert 'of another shape' in capsys.readouterr().err
    assert not list((tmp_path / 'other_run').glob('*.pth')), 'not one iteration'


@pytest.mark.slow
def test_a_resumed_pretraining_ends_like_one_that_went_through(tmp_path: Path) -> None:
    config = pretraining(tmp_path / 'ssp', write_semi(tmp_path / 'data', unlabeled=7), 4)
    train(config, tmp_path / 'whole')
    train(config, tmp_path / 'parts', '--cfg-options', 'train_cfg.max_iters=2')
    train(config, tmp_path / 'parts', '--resume')
    one, two = (load_checkpoint(tmp_path / name / 'iter_4.pth')['state_dict'] for name in ('whole', 'parts'))
    assert one.keys() == two.keys() and int(one['task.queue.entered']) == 16
    assert not [key for key, value in one.items() if not torch.equal(value, two[key])]
