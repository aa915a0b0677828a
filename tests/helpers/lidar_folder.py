"""A small folder of LiDAR scenes, and the parts of a run on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from imbdense.data.lidar_scene import SETUPS, generate_lidar_scenes

EXTENT = (0.0, -12.8, 25.6, 12.8)
LIFT = {'beams32': 1.84, 'beams64': 1.73}
LOAD, BOXES, PACK = ({'type': f'imbdense.{name}'} for name in ('LoadKittiPoints', 'LoadBoxes3d', 'PackPointDetInputs'))


def lidar_folder(root: Path, setup: str = 'beams32', train: int = 4, val: int = 2, seed: int = 0) -> Path:
    """Scenes of few rays, made once; rare classes come often."""
    full = SETUPS[setup]
    classes = tuple(replace(kind, per_scene=max(kind.per_scene / 2, 2.0)) for kind in full.classes)
    sensor = replace(full.sensor, beams=24, step=1.0)
    small = replace(full, sensor=sensor, classes=classes, extent=(4.0, -10.0, 22.0, 10.0))
    generate_lidar_scenes(root / setup, small, {'train': train, 'val': val}, seed)
    return root / setup


def dataset(folder: Path, pipeline: list[Any], split: str = 'train', **more: Any) -> dict[str, Any]:
    """Config of the data set of a folder."""
    return {'type': 'imbdense.KittiBoxDataset', 'data_root': str(folder), 'split': split, 'lift': LIFT[folder.name],
            'pipeline': pipeline, **more}  # fmt: skip


def detector(**more: Any) -> dict[str, Any]:
    """Config of a detector of 10 000 weights."""
    return {
        'type': 'imbdense.PillarDetector',
        'encoder': {'in_features': 1, 'out_channels': 8, 'extent': EXTENT, 'cell': 0.8},
        'backbone': {'channels': (12,), 'layers': (1,), 'strides': (1,), 'out_channels': 12},
        'bbox_head': {'sizes': [(4.7, 1.95, 1.75), (0.8, 0.7, 1.75), (1.85, 0.65, 1.75)], 'heights': [0.88] * 3,
                      'positive': [0.5, 0.3, 0.3], 'negative': [0.35, 0.15, 0.2]},
        'loss_cls': {'type': 'imbdense.SigmoidFocalCBLoss', 'scheme': 'inverse'}, **more,
    }  # fmt: skip
