"""Every config of point segmentation learns from tiny clouds through its own pipeline; a run resumes and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmcv')

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, VISUALIZERS, init_default_scope

from imbdense.cli.main import run_verb
from imbdense.data.points import PointCloud, write_points
from imbdense.mm.checkpoints import load_checkpoint
from imbdense.utils.paths import configs_dir
from tests.helpers.point_scenes import dataset_config, street, write_scenes

CONFIGS = sorted((configs_dir() / 'point_cloud').glob('sparse_unet_ign_lidar_hd_*.py'))


def write_tiles(root: Path) -> None:
    """Tiles as those of IGN LiDAR HD: codes of its own, intensity and return numbers, Lambert-93 coordinates."""
    codes = np.array([2, 6, 5, 17, 64, 3])
    for split, seeds in (('train', (0, 1)), ('val', (2,))):
        (root / split).mkdir(parents=True)
        for seed in seeds:
            scene = street(seed, side=30.0)
            ones = np.ones(len(scene['xyz']), np.uint8)
            attributes = {'intensity': 900 * ones.astype(np.float32), 'return_number': ones, 'number_of_returns': ones}
            cloud = PointCloud(scene['xyz'], attributes, codes[scene['semantic']])
            write_points(root / split / f'tile_{seed}.laz', cloud)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_learns_and_predicts(path: Path, tmp_path: Path) -> None:
    """Data, model, hooks and metric are built; one step has finite losses; every raw point gets a class."""
    pytest.importorskip('laspy')
    write_tiles(tmp_path)
    config = Config.fromfile(str(path))
    init_default_scope(config.default_scope)
    for name in ('train_dataloader', 'val_dataloader'):
        config[name].dataset.data_root = str(tmp_path)
    for hook in config.default_hooks.values():
        HOOKS.build(hook)
    VISUALIZERS.build({**config.visualizer, 'name': path.stem})
    metric, model = METRICS.build(config.val_evaluator), MODELS.build(config.model)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    DATA_SAMPLERS.build(config.train_dataloader.sampler, default_args={'dataset': dataset, 'seed': 0})
    data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    loss, values = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(bool(torch.isfinite(value).all()) for value in values.values()), values
    val = DATASETS.build(config.val_dataloader.dataset)
    found = model.eval().val_step(pseudo_collate([val[0]]))
    assert len(found[0].pred_pts_seg.semantic) == len(street(2, side=30.0)['xyz'])
    metric.dataset_meta = val.metainfo
    metric.process({}, [sample.to_dict() for sample in found])
    assert 'mIoU' in metric.evaluate(1)


def tiny_config(root: Path, folder: Path) -> Path:
    """A training of eight steps on two streets, checkpoints every four, in the runtime of our configs."""
    bases = configs_dir() / '_base_'
    runtime = Config.fromfile(str(bases / 'runtime' / 'points.py'))
    runtime.default_hooks.checkpoint.update(interval=4, max_keep_ckpts=-1)
    load = [dict(type='imbdense.LoadPoints', keep=1), dict(type='imbdense.PointHeight', window=20.0)]
    pack = dict(type='imbdense.PackPointInputs', features=('height', 'rgb'))
    train = [*load, dict(type='imbdense.SphereCrop', radius=6.0, center='rare'), dict(type='imbdense.PointRotate'),
             dict(type='imbdense.PointJitter'), pack]  # fmt: skip
    loader = dict(num_workers=1, persistent_workers=True)
    config = Config(dict(
        **runtime,
        model=dict(
            type='imbdense.PointEncoderDecoder',
            data_preprocessor=dict(type='imbdense.PointDataPreProcessor', voxel_size=0.6),
            backbone=dict(type='imbdense.SparseUNet', in_channels=4, base_channels=4, depth=1, blocks=(1,)),
            decode_head=dict(
                type='imbdense.PointSegHead', num_classes=6, loss_decode=dict(type='imbdense.BalancedSoftmaxLoss'))),
        train_dataloader=dict(
            batch_size=2, sampler=dict(type='imbdense.BalancedClassSampler', infinite=True),
            dataset=dataset_config(root, pipeline=train), **loader),
        val_dataloader=dict(
            batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dataset_config(root, 'val', pipeline=[*load, pack], test_mode=True), **loader),
        val_evaluator=dict(type='imbdense.PointIoUMetric'), val_cfg=dict(type='ValLoop'),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=8, val_interval=8),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2))))  # fmt: skip
    config.dump(str(folder / 'config.py'))
    return folder / 'config.py'


def test_a_resumed_run_equals_an_uninterrupted_one_and_reports(tmp_path: Path) -> None:
    write_scenes(tmp_path / 'data', side=24.0)
    config, whole, parts = tiny_config(tmp_path / 'data', tmp_path), tmp_path / 'whole', tmp_path / 'parts'
    arguments = ['train', str(config), '--work-dir', str(whole), '--seed', '3']
    assert run_verb(arguments[0], arguments[1:]) == 0
    half = [str(config), '--work-dir', str(parts), '--seed', '3', '--cfg-options', 'train_cfg.max_iters=4']
    assert run_verb('train', half) == 0
    assert run_verb('train', [str(config), '--work-dir', str(parts), '--seed', '3', '--resume']) == 0
    one, two = (load_checkpoint(folder / 'iter_8.pth') for folder in (whole, parts))
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key
    kept: Any = one['meta']['imbdense']
    sources = [entry['source'] for entry in kept['prior_ledger']['entries']]
    assert sources == ['training labels (points)', 'BalancedClassSampler', 'SphereCrop', 'PointDataPreProcessor',
                       'BalancedSoftmaxLoss']  # fmt: skip
    record = json.loads(next((whole / 'imbdense').glob('val_8_confusion.json')).read_text())
    assert record['artifact']['classes'][4] == 'mast' and np.array(record['artifact']['table']).sum() > 1000
    assert run_verb('report', [str(whole), '--out', str(tmp_path / 'report.html')]) == 0
    page = (tmp_path / 'report.html').read_text()
    assert 'mast' in page and 'Points per class' in page and 'scenes were counted' in page
    assert 'pixels' not in page
    shift = ['--cfg-options', "custom_hooks=[dict(type='imbdense.PostHocLogitAdjustHook')]"]
    assert run_verb('train', [str(config), '--work-dir', str(tmp_path / 'twice'), *shift]) != 0  # balanced already
