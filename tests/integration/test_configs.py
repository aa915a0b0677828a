"""Every config of configs/ builds its model and data, and keeps the shape the project promises."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, VISUALIZERS, init_default_scope

from imbdense.utils.paths import configs_dir
from tests.helpers.selection_pools import random_pool
from tests.integration.tiny_data import write_detection, write_segmentation

EXPERIMENTS = sorted(path for path in configs_dir().rglob('*.py') if '_base_' not in path.parts)
SELECTIONS = [path for path in EXPERIMENTS if re.search('^selector = ', path.read_text(encoding='utf-8'), re.MULTILINE)]
CHANGE = [path for path in EXPERIMENTS if path.parent.name == 'change_detection']  # see test_change_configs.py
POINTS = [path for path in EXPERIMENTS if path.parent.name == 'point_cloud']  # see test_point_configs.py
CLUSTERS = [path for path in EXPERIMENTS if 'SuperPixelSegmentor' in path.read_text(encoding='utf-8')]
"""They learn no class; see test_cluster_configs.py."""
CONFIGS = [path for path in EXPERIMENTS if path not in SELECTIONS + CHANGE + POINTS + CLUSTERS]
BASES = sorted(path for path in configs_dir().rglob('*.py') if '_base_' in path.parts)


def name_of(path: Path) -> str:
    """``segmentation/unet_scenes_ce``."""
    return str(path.relative_to(configs_dir()).with_suffix(''))


@pytest.mark.parametrize('path', EXPERIMENTS + BASES, ids=name_of)
def test_shape(path: Path) -> None:
    """At most 80 lines, a first comment, two levels, no ``_delete_``, nothing of ours without its prefix."""
    text = path.read_text(encoding='utf-8')
    assert len(text.splitlines()) <= 80
    assert re.match(r'# \w.{20,}', text), 'the first comment says what the config shows'
    assert '_delete_' not in text
    bases = re.findall(r"'(\.\./[^']+)'", text)
    if '_base_' in path.parts:
        assert not bases, 'a base must not have bases: two levels'
    else:
        assert 'Shows' in text.splitlines()[0]
        assert all('/_base_/' in base for base in bases)
    for name in re.findall(r"type='([\w.]+)'", text):
        assert not ours(name) or name.startswith('imbdense.'), f'{name} must be written imbdense.{name}'


def ours(name: str) -> bool:
    """Whether a registered name without prefix is one of imbdense."""
    from imbdense.registry import REGISTRIES

    if name.startswith('imbdense.'):
        return True
    for registry in REGISTRIES.values():
        registry.import_from_location()
    return any(name in registry.module_dict for registry in REGISTRIES.values())


def on_tiny_data(config: Config, root: Path) -> Config:
    """Point all loaders to a generated data set of the same classes."""
    labeled_only(config)
    if config.default_scope == 'mmdet':
        write_detection(root, config.metainfo['classes'])
        for name in ('annotations/selected.json', 'autolabels/autolabels.json'):
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(root / 'annotations' / 'train.json', root / name)
    elif 'metainfo' in config:
        write_segmentation(root, len(config.metainfo['classes']), size=96)
    else:
        write_scenes(root)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for dataset in parts(config[name].dataset) if name in config else ():
            dataset.data_root = str(root)
    pasting = [step for dataset in parts(config.train_dataloader.dataset) for step in dataset.pipeline
               if step.type == 'imbdense.BankPaste']
    if pasting:
        bank = write_bank(root.with_name('bank'), config)
        for step in pasting:
            step.bank = bank
    for name in ('val_evaluator', 'test_evaluator'):
        if 'ann_file' in config.get(name, {}):
            config[name].ann_file = str(root / 'annotations' / 'val.json')
    return config


def write_bank(folder: Path, config: Config) -> str:
    """What ``imbdense generate bank`` makes of the tiny training images."""
    from imbdense.data.instance_bank import InstanceBank
    from imbdense.mm.datasets.bank_round import fill_round

    init_default_scope(config.default_scope)
    labeled = parts(config.train_dataloader.dataset)[0]
    loading = [step for step in labeled.pipeline if 'Load' in step.type]
    dataset = DATASETS.build({**labeled, 'pipeline': loading})
    bank = InstanceBank.create(folder, dataset.metainfo['classes'])
    writer = bank.start_round({})
    fill_round(dataset, writer, min_area=4)
    writer.finish()
    return str(folder)


def parts(dataset: Config) -> list[Config]:
    """The configs with files: the parts of a wrapper, or the data set itself."""
    for names in (('labeled', 'unlabeled'), ('human', 'autolabels')):
        if names[1] in dataset:
            return [dataset[name] for name in names]
    return [dataset]


def without_labels(config: Config) -> bool:
    """Whether the config only pre-trains."""
    return 'val_dataloader' not in config


def labeled_only(config: Config) -> None:
    """Of four images two are labelled, so that some are left that are not."""
    dataset = config.train_dataloader.dataset
    labeled = dataset.labeled if 'unlabeled' in dataset else dataset
    if 'indices' in labeled or labeled is not dataset:
        labeled.indices = 2


def write_scenes(root: Path) -> None:
    """Images, labels and the record the scene generator writes."""
    import json

    from imbdense.data.scene.classes import MAPPINGS

    mapping = MAPPINGS['aerial']
    write_segmentation(root, len(mapping.classes), size=96)
    record = {'classes': mapping.classes, 'palette': mapping.palette, 'ignore_index': 255,
              'splits': {split: {'images': 4} for split in ('train', 'val')}}
    (root / 'dataset.json').write_text(json.dumps(record))
    (root / 'selected.txt').write_text('000\n002\n')
    shutil.copytree(root / 'labels' / 'train', root / 'autolabels' / 'labels')
    (root / 'autolabels' / 'images.txt').write_text('001\n002\n003\n')


@pytest.mark.parametrize('path', SELECTIONS, ids=name_of)
def test_selects(path: Path) -> None:
    """The selector of a config chooses from a pool, with a record of what it was built from."""
    from imbdense.registry import SELECTORS

    config = Config.fromfile(str(path)).selector
    result = SELECTORS.build(config)(random_pool(images=20), 5, selected=[2])
    assert len(result) == 5 and f'imbdense.{result.selector["type"]}' == config.type
    assert set(config) <= set(result.selector)


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_builds(path: Path, tmp_path: Path) -> None:
    """Model, hooks, metrics, visualiser, and the first sample of each loader through its real pipeline."""
    config = on_tiny_data(Config.fromfile(str(path)), tmp_path / 'data')
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    assert sum(parameter.numel() for parameter in model.parameters()) > 10_000
    for hook in [*config.default_hooks.values(), *config.get('custom_hooks', [])]:
        HOOKS.build(hook)
    VISUALIZERS.build({**config.visualizer, 'name': name_of(path), 'vis_backends': None})
    if without_labels(config):
        inputs = DATASETS.build(config.train_dataloader.dataset)[0]['inputs']
        views = list(inputs.views.values()) if hasattr(inputs, 'views') else [inputs]
        wanted = 1 if 'AutoEncoder' in config.model.type else 2
        assert len(views) == wanted and all(view.ndim == 3 for view in views)
        return
    METRICS.build(config.val_evaluator)
    classes = set()
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        inputs = dataset[0]['inputs']
        assert (inputs['sup'] if isinstance(inputs, dict) else inputs).ndim == 3
        classes.add(len(dataset.metainfo['classes']))
    network = config.model.get('segmentor') or config.model.get('detector') or config.model
    heads = [network.get(key) for key in ('decode_head', 'auxiliary_head', 'bbox_head') if network.get(key)]
    heads += [network.roi_head.bbox_head] if 'roi_head' in network else []
    # Heads with a swapped classifier hold the config of the head they change.
    assert {head.get('base', head).num_classes for head in heads} == classes


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_one_step(path: Path, tmp_path: Path) -> None:
    """Forward and backward of two tiny samples with the counts of the data bound: finite losses, a gradient."""
    import torch
    from mmengine.dataset import pseudo_collate

    from imbdense.mm.datasets.statistics import class_counts, class_table
    from imbdense.mm.hooks.class_count_hook import bind_losses
    from imbdense.mm.prior import build_ledger

    config = on_tiny_data(Config.fromfile(str(path)), tmp_path / 'data')
    init_default_scope(config.default_scope)
    preprocessor = config.model.get('segmentor', config.model).data_preprocessor
    if 'size' in preprocessor:
        preprocessor.size = (128, 128)
    for step in parts(config.train_dataloader.dataset)[0].pipeline:
        if 'crop_size' in step:
            step.crop_size = (128, 128)
    model = revert(MODELS.build(config.model)).train()
    dataset = DATASETS.build(config.train_dataloader.dataset)
    if not without_labels(config):
        counts = class_counts(dataset)
        ledger, _ = build_ledger(counts, class_table(dataset), dataset, None)
        bind_losses(model, ledger, counts)
    for hook in config.default_hooks.values():
        if hook.type == 'imbdense.FeatureTapHook':
            HOOKS.build(hook).attach(model)
    number = 4 if without_labels(config) else 2
    data = model.data_preprocessor(pseudo_collate([*(dataset[i] for i in range(number)), *extra(dataset)]), True)
    loss, values = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(bool(torch.isfinite(value).all()) for value in values.values()), values
    assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())


def extra(dataset: Any) -> list[Any]:
    """Two unlabelled samples, where there are some."""
    return [dataset[dataset.num_labeled + i] for i in range(2)] if hasattr(dataset, 'num_labeled') else []


def revert(model: Any) -> Any:
    """Batch norm of one process in place of SyncBN, as the runner does."""
    from mmengine.model import revert_sync_batchnorm

    return revert_sync_batchnorm(model)
