"""The configs of boxes in space learn from tiny scenes through their own pipelines; a round labels the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmcv')
pytest.importorskip('mmdet')

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, VISUALIZERS, init_default_scope

from imbdense.data.instance_bank import InstanceBank
from imbdense.data.pseudo import PseudoBoxes
from imbdense.utils.paths import configs_dir
from tests.helpers.lidar_folder import lidar_folder
from tests.mm.hooks.redb_3d_run import source_bank

FOLDER = configs_dir() / 'point_cloud'


def built(name: str, root: Path) -> tuple[Config, Any, Any]:
    """Config on tiny data, its model and its training set."""
    config = Config.fromfile(str(FOLDER / f'{name}.py'))
    init_default_scope(config.default_scope)
    source, target, bank = lidar_folder(root), lidar_folder(root, 'beams64', seed=1), source_bank(root)
    InstanceBank.create(root / 'pseudo_bank', ('Car', 'Pedestrian', 'Cyclist'), 'points')
    training = config.train_dataloader.dataset
    for part, folder in ((training.get('labeled', training), source), (training.get('unlabeled', {}), target),
                         (config.val_dataloader.dataset, target)):
        if part:
            part.data_root = str(folder)
            for step in part.pipeline:
                if 'bank' in step:
                    step.bank = str(root / 'pseudo_bank') if step.bank.endswith('pseudo_bank') else str(bank)
    for hook in [*config.default_hooks.values(), *config.get('custom_hooks', ())]:
        HOOKS.build(hook)
    VISUALIZERS.build({**config.visualizer, 'name': name})
    dataset = DATASETS.build(training)
    DATA_SAMPLERS.build(config.train_dataloader.sampler, default_args={'dataset': dataset, 'seed': 0})
    return config, MODELS.build(config.model), dataset


def test_source_config_learns_and_is_evaluated(tmp_path: Path) -> None:
    config, model, dataset = built('pillar_lidar_source', tmp_path)
    data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    loss, values = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(bool(torch.isfinite(value).all()) for value in values.values()), values
    val = DATASETS.build(config.val_dataloader.dataset)
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = val.metainfo
    found = model.eval().val_step(pseudo_collate([val[0], val[1]]))
    metric.process({}, [sample.to_dict() for sample in found])
    assert 'boxes_3d/bev_recall50' in metric.evaluate(2)


def test_target_config_learns_from_labels_of_a_round(tmp_path: Path) -> None:
    config, model, dataset = built('redb3d_lidar_target', tmp_path)
    world = model.round_world(config, dataset.metainfo['classes'])
    images = world.samples(dataset)
    box = torch.tensor([[9.0, 0, 0.8, 4, 1.7, 1.6, 0]]).numpy()
    zero = torch.zeros(1, dtype=torch.int64).numpy()
    labels = {str(one.path): PseudoBoxes(one.file_name, None, box, zero, box[:, 0], zero > 0) for one in images}
    world.hand_over(dataset, labels)
    last = dataset[len(dataset) - 1]
    assert last['data_samples'].pseudo and len(last['data_samples'].gt_instances_3d) > 1  # source objects were pasted
    data = model.data_preprocessor(pseudo_collate([dataset[0], last]), True)
    values = model(**data, mode='loss')
    assert not [name for name in values if name.startswith('sup_')] and values['unsup_loss_box'] > 0
