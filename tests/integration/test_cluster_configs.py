"""The configs that learn clusters instead of classes: one round and a step through their own pipelines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, init_default_scope

from imbdense.core.selection import SphericalKMeans
from imbdense.data.points.feature_files import points_digest, write_volume
from imbdense.mm.clusters.round import cluster_round
from imbdense.utils.paths import configs_dir
from tests.helpers.tiny_clouds import write_clouds
from tests.integration.test_configs import write_scenes


def one_round(config: Config) -> None:
    """Build everything, cluster two training samples, learn one step, predict and score one sample."""
    init_default_scope(config.default_scope)
    torch.manual_seed(0)
    for hook in [*config.default_hooks.values(), *config.custom_hooks]:
        HOOKS.build(hook)
    train, val = (DATASETS.build(config[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    model, metric = MODELS.build(config.model), METRICS.build(config.val_evaluator)
    clusters = config.model.head.num_clusters
    batch = model.eval().data_preprocessor(pseudo_collate([train[0], train[1]]), False)
    found = cluster_round(list(model.pooled(**{'inputs': batch['inputs'], 'samples': batch['data_samples']})),
                          SphericalKMeans(clusters, n_init=2), 0)  # fmt: skip
    model.set_labels(found.labels)
    model.head.set_round(found.centroids, found.counts)
    loss, values = model.train().parse_losses(model(**batch, mode='loss'))
    loss.backward()
    assert all(bool(torch.isfinite(value).all()) for value in values.values())
    predicted = model.eval().val_step(pseudo_collate([val[0]]))
    metric.dataset_meta = val.metainfo
    metric.process({}, [sample.to_dict() for sample in predicted])
    assert 0 <= metric.evaluate(1)['mIoU'] <= 1


def test_clusters_of_superpixels(tmp_path: Path) -> None:
    config = Config.fromfile(str(configs_dir() / 'segmentation' / 'superpixel_clusters_scenes.py'))
    write_scenes(tmp_path / 'data')
    config.model.backbone.init_cfg = None
    config.model.data_preprocessor.size = (96, 96)
    config.train_dataloader.dataset.indices = None
    for split in ('train', 'val'):
        config[f'{split}_dataloader'].dataset.data_root = str(tmp_path / 'data')
    one_round(config)


@pytest.mark.parametrize('stage', ['distill', 'iterate'])
def test_pointdc(tmp_path: Path, stage: str) -> None:
    """On the layout that the generator of clouds writes."""
    config = Config.fromfile(str(configs_dir() / 'point_cloud' / 'pointdc_clouds.py'))
    clouds, names, dims = write_clouds(tmp_path), ['scene_0', 'scene_1', 'scene_2'], config.model.distill.dims
    for name in names:
        place = tmp_path / 'data' / 'scenes' / name
        place.mkdir(parents=True)
        (clouds / f'{name}.npz').rename(place / 'cloud.npz')
        with np.load(place / 'cloud.npz') as archive:
            xyz = archive['xyz']
        local = (xyz - np.floor(xyz.min(0))).astype(np.float32)
        features = np.random.default_rng(0).normal(size=(len(xyz), dims))
        write_volume(tmp_path / 'volumes_wide' / f'{name}.t.npz', features, np.ones(len(xyz)), points_digest(local))
    splits = {'train': names[:2], 'val': names[2:]}
    (tmp_path / 'data' / 'splits').mkdir()
    for split, chosen in splits.items():
        (tmp_path / 'data' / 'splits' / f'{split}.txt').write_text(
            ''.join(f'scenes/{name}/cloud.npz\n' for name in chosen))
    record = {'classes': list('abcdef'), 'palette': [[k, k, k] for k in range(6)], 'splits': splits,
              'label_map': {str(k): k for k in range(6)}, 'raw_classes': {str(k): str(k) for k in range(20)}}
    (tmp_path / 'data' / 'dataset.json').write_text(json.dumps(record))
    for split in ('train', 'val'):
        dataset = config[f'{split}_dataloader'].dataset
        dataset.data_root = str(tmp_path / 'data')
        for step in dataset.pipeline:
            if 'folder' in step:
                step.folder = str(tmp_path / ('volumes_wide' if 'Volume' in step.type else 'parts'))
    config.model.stage = stage
    one_round(config)
