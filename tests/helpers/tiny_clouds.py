"""Three small clouds with features of views on disk, and a PointDC run over them that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.points.feature_files import points_digest, write_volume

CLASSES = ('ground', 'roof', 'car')
CHANNELS = 8
VIEWS_SEED = 7


def write_clouds(folder: Path, scenes: int = 3, points: int = 1000) -> Path:
    """``clouds/scene_<k>.npz`` and ``volumes/scene_<k>.t.npz``: 16 m of ground with a roof and a few cars, each class
    of its own colour and feature; a third of the points is in no view. Returns the folder of the clouds."""
    clouds, rng = folder / 'clouds', np.random.default_rng(VIEWS_SEED)
    clouds.mkdir(parents=True, exist_ok=True)
    prototypes = np.linalg.qr(rng.normal(size=(CHANNELS, CHANNELS)))[0][: len(CLASSES)]
    for scene in range(scenes):
        rng = np.random.default_rng(scene)
        xyz = np.c_[rng.uniform(0, 16, (points, 2)), np.zeros(points)]
        label = np.zeros(points, np.int64)
        roof = (np.abs(xyz[:, :2] - 5) < 3.2).all(1)
        xyz[roof, 2], label[roof] = 4.0, 1
        car = (np.abs(xyz[:, :2] - (12, 12)) < 1.6).all(1)
        xyz[car, 2], label[car] = 1.6, 2
        colour = np.array([[90, 90, 90], [200, 80, 60], [40, 60, 230]])[label] + rng.integers(-10, 11, (points, 3))
        np.savez(clouds / f'scene_{scene}.npz', xyz=xyz, rgb=colour.clip(0, 255).astype(np.uint8), semantic=label)
        features = prototypes[label] + 0.3 * rng.normal(size=(points, CHANNELS))
        seen = rng.random(points) < 2 / 3
        local = (xyz - np.floor(xyz.min(0))).astype(np.float32)
        write_volume(folder / 'volumes' / f'scene_{scene}.t.npz', np.where(seen[:, None], features, 0), seen * 3,
                     points_digest(local))  # fmt: skip
    return clouds


def tiny_config(folder: Path, work_dir: Path, stage: str, epochs: int, **hook: Any) -> dict[str, Any]:
    """A config of one stage."""
    whole = [
        {'type': 'imbdense.LoadPoints', 'attributes': ('rgb',), 'keep': 4},
        {'type': 'imbdense.LoadFeatureVolume', 'folder': str(folder / 'volumes')},
        {'type': 'imbdense.SuperVoxel', 'voxel_size': 0.8, 'seed_size': 1.6, 'colour': 5.0,
         'folder': str(folder / 'supervoxels')},
    ]  # fmt: skip
    pack = {'type': 'imbdense.PackPointInputs', 'features': ('rgb',), 'info': ('supervoxel', 'view_features')}
    clouds = str(folder / 'clouds')
    data = {'type': 'imbdense.PointFolderDataset', 'metainfo': {'classes': CLASSES}, 'data_root': clouds}
    clusters = {'type': 'imbdense.SuperVoxelClusterHook', 'num_clusters': 3, 'interval': 2, **hook}
    turn = [{'type': 'imbdense.PointRotate'}, {'type': 'imbdense.PointShift', 'shift': (0.5, 0.5, 0.5)}]
    return {
        'default_scope': 'mmengine', 'work_dir': str(work_dir), 'randomness': {'seed': 0}, 'log_level': 'WARNING',
        'model': {
            'type': 'imbdense.PointDCSegmentor', 'stage': stage,
            'data_preprocessor': {'type': 'imbdense.PointDataPreProcessor', 'voxel_size': 0.8,
                                  'mean': (0.5, 0.5, 0.5), 'std': (0.3, 0.3, 0.3)},
            'backbone': {'type': 'imbdense.SparseUNet', 'in_channels': 3, 'base_channels': 8, 'depth': 1,
                         'blocks': (1,)},
            'distill': {'type': 'imbdense.DistillCosineLoss', 'dims': CHANNELS},
            'head': {'type': 'imbdense.CosineClusterHead', 'num_clusters': 3, 'cos_scale': 15.0},
        },
        'train_dataloader': {
            'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            'dataset': {**data, 'need_labels': False, 'pipeline': [*whole, *turn, pack]},
        },
        'val_dataloader': {
            'batch_size': 1, 'num_workers': 0, 'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {**data, 'pipeline': [*whole, pack]},
        },
        'val_evaluator': {'type': 'imbdense.HungarianIoU'}, 'val_cfg': {},
        'train_cfg': {'by_epoch': True, 'max_epochs': epochs, 'val_interval': 1000},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'Adam', 'lr': 0.01}},
        'default_hooks': {
            'logger': {'type': 'LoggerHook', 'interval': 100},
            'checkpoint': {'type': 'imbdense.AtomicCheckpointHook', 'interval': 1},
            'exact_resume': {'type': 'imbdense.ExactResumeHook'},
        },
        'custom_hooks': [] if stage == 'distill' else [clusters],
    }  # fmt: skip
