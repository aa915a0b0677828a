"""A point segmentor that needs no training: the class is which third of [0, 1] the intensity of a voxel lies in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from imbdense.data.points import PointCloud
from imbdense.mm.data_preprocessors.point_data_pre_processor import PointDataPreProcessor
from imbdense.nn.sparse import SparsePoints, SparseUNet
from imbdense.registry import MODELS

CLASSES = ('ground', 'house', 'mast')
CODES = {1: -1, 2: 0, 6: 1, 60: 2, 64: 2}
INTENSITY = 1000.0


@MODELS.register_module(force=True)
class ToyPointSegmentor(BaseModel):
    """Class by intensity; ``context`` adds what a random network sees around each voxel."""

    card, tasks = 'point_prediction', ('points',)

    def __init__(self, voxel_size: float = 0.05, context: bool = False) -> None:
        super().__init__(PointDataPreProcessor(voxel_size))
        torch.manual_seed(0)
        self.unet = SparseUNet(1, base_channels=4, depth=2, blocks=(1, 1), out_channels=3)
        self.context = context

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        return self.encode_decode(inputs)

    def encode_decode(self, inputs: SparsePoints) -> torch.Tensor:
        value = inputs.feats[:, :1] / INTENSITY
        logits = -40 * (value - torch.tensor([1 / 6, 0.5, 5 / 6])).abs()
        return self.unet(inputs.replace(value)).feats + 0.05 * logits if self.context else logits


def toy_config(folder: Path, pipeline: list[dict[str, Any]] | None = None, **model: Any) -> tuple[Path, Path]:
    """(config file, checkpoint) of the toy."""
    steps = pipeline or [
        {'type': 'imbdense.LoadPoints', 'attributes': ['intensity']},
        {'type': 'imbdense.PackPointInputs', 'features': ['intensity']},
    ]
    config = Config({
        'default_scope': 'mmengine', 'custom_imports': {'imports': ['tests.mm.points.toy']},
        'model': {'type': 'imbdense.ToyPointSegmentor', **model},
        'test_dataloader': {'batch_size': 1, 'dataset': {
            'type': 'imbdense.PointFolderDataset', 'data_root': str(folder), 'label_map': CODES,
            'metainfo': {'classes': CLASSES}, 'pipeline': steps}},
    })  # fmt: skip
    file = folder / 'toy.py'
    file.write_text(config.pretty_text)
    checkpoint = folder / 'toy.pth'
    if not checkpoint.exists():
        torch.save({'state_dict': ToyPointSegmentor(**model).state_dict(), 'meta': {}}, checkpoint)
    return file, checkpoint


def toy_cloud(number: int = 3000, seed: int = 0, corner: float = 0.0) -> PointCloud:
    """Points of 40 x 25 m whose intensity tells their class; codes of the files as labels."""
    rng = np.random.default_rng(seed)
    xyz = (rng.uniform((0, 0, 0), (40, 25, 4), (number, 3)) + [650_000 + corner, 6.8e6, 100]).round(3)
    labels = rng.choice(3, number, p=(0.7, 0.25, 0.05))
    intensity = ((labels + 0.5) / 3 * INTENSITY + rng.uniform(-100, 100, number)).round().astype(np.float32)
    return PointCloud(xyz, {'intensity': intensity}, np.array([2, 6, 60])[labels])
