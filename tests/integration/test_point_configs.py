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

from imbdense.benchmark.runs import validation_scores
from imbdense.cli.main import run_verb
from imbdense.data.points import PointCloud, write_points
from imbdense.data.points.layouts.airborne_classes import CLASSES as AIRBORNE
from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.datasets.statistics import class_counts
from imbdense.utils.paths import configs_dir
from tests.helpers.point_scenes import dataset_config, street, write_scenes

CONFIGS = sorted((configs_dir() / 'point_cloud').glob('sparse_unet_ign_lidar_hd_*.py'))
TRANSFER = sorted((configs_dir() / 'point_cloud').glob('sparse_unet_aerial_to_ign_*.py'))


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


def write_generated(root: Path) -> None:
    """Two clouds as `imbdense generate clouds` writes them: codes of STPLS3D, return numbers."""
    codes = np.array([15, 1, 4, 5, 11, 14])
    (root / 'splits').mkdir(parents=True)
    for seed in (5, 6):
        scene = street(seed, side=30.0)
        ones = np.ones(len(scene['xyz']), np.uint8)
        folder = root / 'scenes' / f'scene_{seed}'
        folder.mkdir(parents=True)
        np.savez(folder / 'cloud.npz', xyz=scene['xyz'], semantic=codes[scene['semantic']].astype(np.uint8),
                 return_number=ones, number_of_returns=ones)  # fmt: skip
    (root / 'splits' / 'train.txt').write_text('scenes/scene_5/cloud.npz\nscenes/scene_6/cloud.npz\n')


def transfer_config(path: Path, root: Path) -> Any:
    """A config of the transfer on tiny tiles and clouds, two iterations."""
    config = Config.fromfile(str(path))
    parts = [part.get('dataset', part) for part in config.train_dataloader.dataset.datasets]
    for part in (*parts, config.val_dataloader.dataset):
        part.data_root = str(root / ('real' if part.type == 'imbdense.IGNLidarHDDataset' else 'made'))
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    config.train_cfg.update(max_iters=2, val_interval=2)
    config.default_hooks.logger.interval = 1
    return config


@pytest.mark.parametrize('path', TRANSFER, ids=lambda path: path.stem)
def test_transfer_runs_two_iterations_and_is_scored_on_real_tiles(path: Path, tmp_path: Path) -> None:
    pytest.importorskip('laspy')
    write_tiles(tmp_path / 'real')
    write_generated(tmp_path / 'made')
    transfer_config(path, tmp_path).dump(str(tmp_path / 'config.py'))
    arguments = [str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'run'), '--seed', '0']
    assert run_verb('train', arguments) == 0
    found = validation_scores(tmp_path / 'run')
    assert 0 <= found['mIoU'] <= 1 and 'mIoU_head' in found and 'IoU/building' in found
    record = json.loads(next((tmp_path / 'run' / 'imbdense').glob('val_2_confusion.json')).read_text())['artifact']
    truth = np.array(record['table']).sum(axis=1)
    tile = street(2, side=30.0)['semantic']
    assert record['classes'][4] == 'building' and truth[4] == (tile == 1).sum()
    assert truth.sum() == (tile != 3).sum()  # bridge decks are dropped


def test_counts_of_joined_real_and_generated_clouds(tmp_path: Path) -> None:
    """Both: the tiles count twice, the generated clouds once; the class lists agree."""
    pytest.importorskip('laspy')
    write_tiles(tmp_path / 'real')
    write_generated(tmp_path / 'made')
    (path,) = (path for path in TRANSFER if path.stem.endswith('both'))
    config = transfer_config(path, tmp_path)
    init_default_scope(config.default_scope)
    joined = DATASETS.build(config.train_dataloader.dataset)
    counts = class_counts(joined)
    real = np.bincount(np.concatenate([street(seed, side=30.0)['semantic'] for seed in (0, 1)]), minlength=6)
    made = np.bincount(np.concatenate([street(seed, side=30.0)['semantic'] for seed in (5, 6)]), minlength=6)
    # street: ground, building, tree, car, mast, fence; as IGN 2, 6, 5, 17, 64, 3, as STPLS3D 15, 1, 4, 5, 11, 14
    wanted = [2 * real[0] + made[0], 2 * real[5], 0, 2 * real[2] + made[2], 2 * real[1] + made[1],
              2 * real[4] + made[3:].sum()]  # fmt: skip
    assert counts.classes == AIRBORNE and counts.of('pixels').tolist() == wanted
    assert len(joined) == 6


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
