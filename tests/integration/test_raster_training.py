"""From rasters to a score: training on blocks of a place, a checkpoint with the statistics, a test on another scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('rasterio')
import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import nn

from tests.data.raster.places import CLASSES, LUT, place, sources, write


@MODELS.register_module(force=True)
class TwentyBandBackbone(nn.Module):
    """One convolution over two dates of ten bands."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(20, 6, 3, padding=1)

    def forward(self, image: Any) -> tuple[Any]:
        """One feature map."""
        return (self.conv(image).relu(),)


def loader(folder: Path, files: dict[str, str], subset: str, **options: Any) -> dict[str, Any]:
    """Windows of 24 px of both dates."""
    training = subset == 'train'
    turns = [{'type': 'imbdense.GeoFlip'}, {'type': 'imbdense.GeoRot90'}, {'type': 'imbdense.BandPhotometric'}]
    data = {
        'type': 'imbdense.BiTemporalGeoTIFFDataset', 'sources': sources(files), 'second_sources': sources(files, 't2'),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'land_cover': CLASSES},
        'second_label': {'path': files['label2'], 'nodata': 0, 'lut': LUT}, 'window': 24, 'num_windows': 12,
        'split': {'shares': {'train': 0.5, 'val': 0.5}, 'block': 40, 'buffer': 4}, 'subset': subset,
        'cache_dir': str(folder / 'cache'), 'test_mode': not training,
        'windows': {'type': 'imbdense.ChangeAwareWindowSampler'},
        'pipeline': [*(turns if training else ()), {'type': 'imbdense.NormalizeBands'},
                     {'type': 'imbdense.PackChangeInputs'}],
    }
    return {'batch_size': 2 if training else 1, 'num_workers': 0, 'dataset': data | options,
            'sampler': {'type': 'DefaultSampler', 'shuffle': training}}


def runner(folder: Path, files: dict[str, str], tests: dict[str, str], load_from: str | None = None) -> Runner:
    """Early fusion of two dates."""
    test = loader(folder, tests, 'val', split=None)
    return Runner.from_cfg(Config({
        'default_scope': 'mmseg', 'work_dir': str(folder / 'run'),
        'model': {
            'type': 'EncoderDecoder', 'data_preprocessor': {'type': 'imbdense.DenseDataPreProcessor', 'dates': 2},
            'backbone': {'type': 'TwentyBandBackbone'},
            'decode_head': {'type': 'FCNHead', 'in_channels': 6, 'channels': 6, 'num_convs': 0, 'concat_input': False,
                            'num_classes': 2, 'dropout_ratio': 0, 'loss_decode': {'type': 'CrossEntropyLoss'}},
            'train_cfg': {}, 'test_cfg': {'mode': 'whole'}},
        'train_dataloader': loader(folder, files, 'train'), 'val_dataloader': loader(folder, files, 'val'),
        'test_dataloader': test, 'val_evaluator': {'type': 'imbdense.ConfusionMetric'},
        'test_evaluator': {'type': 'imbdense.ConfusionMetric'},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.01}},
        'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': 1, 'val_interval': 1},
        'val_cfg': {'type': 'ValLoop'}, 'test_cfg': {'type': 'TestLoop'}, 'load_from': load_from,
        'custom_hooks': [{'type': 'imbdense.GeoStatsHook'}], 'randomness': {'seed': 0}, 'log_level': 'ERROR',
        'experiment_name': f'raster_{folder.name}_{load_from is None}',
    }))  # fmt: skip


def test_a_checkpoint_carries_the_statistics_to_another_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the host formats the config nine times with yapf, 4 s each for nested sources
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: f'config = {self.to_dict()!r}\n'))
    files = place(tmp_path)
    trained = runner(tmp_path, files, files)
    trained.train()
    path = str(tmp_path / 'run' / 'epoch_1.pth')
    kept = torch.load(path, weights_only=False)['meta']['imbdense']['band_statistics']
    assert kept == trained.train_dataloader.dataset.band_statistics.to_dict() and kept['pixels'] > 1000
    (tmp_path / 'other').mkdir()
    other = place(tmp_path / 'other', seed=5)
    ground = np.full((120, 160), 900.0, np.float32)  # another height: of its own statistics it would become 0
    tested = runner(tmp_path, files, other | {'dtm': write(tmp_path / 'other' / 'high.tif', ground)}, path)
    scores = tested.test()
    data = tested.test_dataloader.dataset
    assert data.band_statistics.to_dict() == kept and scores
    item = data[0]
    valid = item['data_samples'].gt_sem_seg.data[0] != 255
    assert float(item['inputs'][4][valid].mean()) > 5  # metres above the training area, in its deviations
