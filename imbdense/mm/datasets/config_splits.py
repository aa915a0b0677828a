"""The splits of a config of mmseg or mmdet: only its data sets are built, no model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from imbdense.data.change.pairs import PairFiles
from imbdense.data.checks.splits import (
    BoxSplit,
    ChangeSplit,
    DetectionSplit,
    PointSplit,
    RasterSplit,
    SegmentationSplit,
    Split,
)
from imbdense.data.finding import Finding
from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.readers.voc import read_voc
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import (
    dataset_classes,
    holds_points,
    is_detection,
    label_files,
    label_format,
    label_root,
    records_of,
    split_name,
)
from imbdense.mm.datasets.statistics import instance_records


def config_splits(config: str | Path | Config, names: Sequence[str] | None = None) -> list[Split]:
    """Build ``<split>_dataloader.dataset`` for every split of a config and describe what it holds.

    A data set that joins several gives one :class:`Split` each, called ``train/0``, ``train/1``, ... Of wrappers that
    repeat images the images themselves are taken.

    Args:
        config: file, or a loaded config; ``default_scope`` decides where bare names are looked up.
        names: of train, val, test; default those that are there, test only if it differs from val.

    Raises:
        LabelReadError: a data set cannot be built; the message holds the host's reason.
    """
    cfg = config if isinstance(config, Config) else _read(config)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    chosen = list(names) if names else _present(cfg)
    if not chosen:
        raise LabelReadError(
            cfg.filename or 'the config', 'schema', f'has no train, val or test dataloader; it has {sorted(cfg)[:8]}.',
            'Give a config with data sets, a folder, or a COCO json.',
        )
    splits: list[Split] = []
    for name in chosen:
        loader = cfg.get(f'{name}_dataloader')
        if not loader or not loader.get('dataset'):
            raise LabelReadError(
                cfg.filename or 'the config',
                'schema',
                f'has no {name}_dataloader with a dataset.',
                f'It has {_present(cfg)}; choose with --split.',
            )
        parts = list(leaves(_build(loader['dataset'], name, cfg)))
        for number, dataset in enumerate(parts):
            splits.append(describe(dataset, name if len(parts) == 1 else f'{name}/{number}'))
    return splits


def describe(dataset: Any, name: str) -> Split:
    """The split of one (unwrapped) data set object.

    Raises:
        LabelReadError: it is empty.
        TypeError: it names no classes, or has neither masks nor boxes.
    """
    dataset.full_init()
    if len(dataset) == 0:
        raise LabelReadError(
            getattr(dataset, 'ann_file', '') or name,
            'empty',
            f'the split {name} holds no image.',
            'Check data_root, data_prefix, ann_file and filter_cfg.',
        )
    if hasattr(dataset, 'label_scan'):
        files = tuple(dataset.scene.files())
        form = LabelFormat.of(dataset_classes(dataset))
        return RasterSplit(name, files, files, form, count=dataset.label_scan)
    infos = records_of(dataset)
    images = tuple(str(info.get('img_path', '')) for info in infos)
    if is_detection(dataset):
        classes = dataset_classes(dataset)
        sizes = tuple((int(info.get('height') or 0), int(info.get('width') or 0)) for info in infos)
        source = str(getattr(dataset, 'ann_file', '') or name)
        records = instance_records(infos, len(classes))
        scans = tuple(str(info.get('points_path', '')) for info in infos)
        if all(scans):
            return BoxSplit(name, str(dataset.data_root), classes, scans, sizes, records)
        return DetectionSplit(name, source, classes, images, sizes, records, _annotation_findings(dataset, classes))
    labels = tuple(label_files(dataset))
    facts = label_format(dataset), label_root(dataset), split_name(dataset)
    if holds_points(dataset):
        return PointSplit(name, labels, labels, *facts, *_pipeline_attributes(dataset))
    described = SegmentationSplit(name, images, labels, *facts)
    if all(info.get('img_paths') for info in infos):
        pairs = tuple(
            PairFiles(tuple(info['img_paths']), info.get('seg_map_path'), tuple(info.get('land_cover_paths', ())))
            for info in infos
        )
        return ChangeSplit(**vars(described), pairs=pairs, land_cover_format=dataset.land_cover_format)
    return described


def _pipeline_attributes(dataset: Any) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Attributes that the pipeline of a data set of clouds takes (``None`` = all there are), and those it fills in."""
    for step in dataset.pipeline.transforms:
        if type(step).__name__ == 'LoadPoints':
            return step.attributes, tuple(step.fill)
    return (), ()


def _annotation_findings(dataset: Any, classes: tuple[str, ...]) -> tuple[Finding, ...]:
    """The host drops boxes without a word; the annotation file itself tells what was in it."""
    path = str(getattr(dataset, 'ann_file', ''))
    try:
        if path.endswith('.json'):
            return read_coco(path, classes).findings
        if hasattr(dataset, 'xml_path') or hasattr(dataset, 'ann_subdir'):
            root = getattr(dataset, 'sub_data_root', '') or dataset.data_root
            return read_voc(
                root, os.path.abspath(path), classes, image_dir=dataset.img_subdir, annotation_dir=dataset.ann_subdir
            ).findings
        folders = getattr(dataset, '_folders', None)
        if folders:
            split = os.path.abspath(path) if path else None
            return read_voc(dataset.data_root, split, classes, image_dir=folders[0], annotation_dir=folders[1]).findings
    except LabelReadError as error:
        return (Finding('error', error.code, error.path, error.problem, error.cure),)
    return ()


def _read(path: str | Path) -> Config:
    """A config file; whatever it raises, being a program, becomes an error that names it."""
    try:
        return Config.fromfile(str(path))
    except Exception as error:
        raise LabelReadError(
            path, 'schema', f'is no config ({type(error).__name__}: {error}).',
            'Give a config (.py, .json, .yaml), a data set folder, or a COCO json.',
        ) from error


def _present(cfg: Config) -> list[str]:
    """The splits of a config; test is left out when it is the same data as val."""
    found = [name for name in ('train', 'val', 'test') if (cfg.get(f'{name}_dataloader') or {}).get('dataset')]
    if 'test' in found and 'val' in found and cfg.test_dataloader.dataset == cfg.val_dataloader.dataset:
        found.remove('test')
    return found


def _build(dataset_cfg: Any, name: str, cfg: Config) -> Any:
    """Build a data set; the host's error becomes one that says what to look at."""
    try:
        return DATASETS.build(dataset_cfg)
    except LabelReadError:
        raise
    except (FileNotFoundError, NotADirectoryError, AssertionError, KeyError, ValueError, TypeError) as error:
        root = dataset_cfg.get('data_root')
        raise LabelReadError(
            cfg.filename or 'the config',
            'schema',
            f'the data set of {name}_dataloader cannot be built: {type(error).__name__}: {error}.',
            f'Check data_root={root!r}, data_prefix and ann_file; relative paths count from {os.getcwd()}.',
        ) from error
