"""Every config of configs/change_detection learns from, or at least predicts, tiny pairs through its real pipeline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, init_default_scope

from imbdense.utils.paths import configs_dir
from tests.data.change.pair_files import write_pairs, write_raster
from tests.integration.tiny_data import write_segmentation

LARGE = ('mamba_fcs_base', 'mamba_fcs_small', 'mamba_fcs_tiny')
CONFIGS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem.startswith(LARGE) else [])
    for path in sorted((configs_dir() / 'change_detection').glob('*.py'))
]
SIDE = 64


def on_tiny_pairs(config: Config, root: Path) -> Config:
    """Point all loaders to generated pairs (and single images) of the same classes and bands."""
    write_pairs(root, train=2, val=1, size=(SIDE, SIDE))
    record = json.loads((root / 'dataset.json').read_text())
    record['land_cover'] = record['land_cover'] + ['vegetation']
    if 's2looking' in config.filename:
        record.update(classes=['unchanged', 'new', 'demolished'], palette=[[0, 0, 0], [0, 0, 255], [255, 0, 0]])
    if 'kinds' in config.filename:
        record.update(classes=['unchanged', *(f'kind {k}' for k in range(1, 5))], palette=[[k, k, k] for k in range(5)])
    if 'official' in config.filename:  # all training pairs, and the test split
        for folder in ('t1', 't2', 'label_change', 'label_t1', 'label_t2'):
            shutil.copytree(root / folder, root / folder / 'train')
        shutil.copy(root / 'splits' / 'val.txt', root / 'splits' / 'test.txt')
    (root / 'dataset.json').write_text(json.dumps(record))
    write_segmentation(root, 5, size=SIDE)
    if 'landsat' in config.filename:
        for date in ('t1', 't2'):
            shutil.rmtree(root / date)
            for name in ('000', '001', '002'):
                values = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 6)).astype(np.uint8)
                write_raster(root / date / f'{name}.tif', values)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if name in config:
            config[name].dataset.data_root = str(root)
    for step in config.train_dataloader.dataset.pipeline:
        if 'crop_size' in step:
            step.crop_size = (64, 64)
        if step.type == 'RandomResize':
            step.scale = (SIDE, SIDE)
    preprocessor = config.model.get('data_preprocessor') or {}
    if preprocessor.get('size'):
        preprocessor['size'] = (64, 64)
    return config


@pytest.mark.parametrize('path', CONFIGS)
def test_learns_and_predicts(path: Path, tmp_path: Path) -> None:
    """One step with finite losses, and a change map of the size of the files."""
    import torch
    from mmengine.dataset import pseudo_collate

    config = on_tiny_pairs(Config.fromfile(str(path)), tmp_path / 'data')
    init_default_scope(config.default_scope)
    model: Any = MODELS.build(config.model)
    for hook in [*config.default_hooks.values(), *config.get('custom_hooks', [])]:
        if hook is not None:
            HOOKS.build(hook)
    for metric in config.val_evaluator if isinstance(config.val_evaluator, list) else [config.val_evaluator]:
        METRICS.build(metric)
    if hasattr(model, 'segmentor'):
        model.mode = 'argmax'
    else:
        dataset = DATASETS.build(config.train_dataloader.dataset)
        data = model.data_preprocessor(pseudo_collate([dataset[index] for index in range(2)]), True)
        loss, values = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        official = 'official' in path.stem  # the released SeK loss may be NaN, which its class says
        assert official or all(bool(torch.isfinite(value).all()) for value in values.values()), values
        assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())
    dataset = DATASETS.build(config.val_dataloader.dataset)
    sample = model.eval().test_step(pseudo_collate([dataset[0]]))[0]
    assert sample.pred_cd.data.shape == (1, SIDE, SIDE)
    classes = len(dataset.metainfo['classes'])
    assert sample.seg_logits.data.shape[0] == classes


def test_the_released_recipe_turns_a_pair_into_all_eight_positions(tmp_path: Path) -> None:
    """The release flips along both axes and turns by quarters; images and labels alike."""
    path = configs_dir() / 'change_detection' / 'mamba_fcs_base_second_official.py'
    config = on_tiny_pairs(Config.fromfile(str(path)), tmp_path / 'data')
    init_default_scope(config.default_scope)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    np.random.seed(0)
    found = {dataset[0]['data_samples'].gt_sem_seg.data.numpy().tobytes() for _ in range(80)}
    assert len(found) == 8
