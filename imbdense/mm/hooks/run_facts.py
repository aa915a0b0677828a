"""What a run is: config, seed, versions, machine, classes; the content of ``<work_dir>/imbdense/run.json``."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

FORMAT = 1
NOT_HASHED = (
    'work_dir',
    'resume',
    'load_from',
    'launcher',
    'experiment_name',
    'log_level',
    'visualizer',
    'vis_backends',
)
PACKAGES = ('imbdense', 'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'numpy')


def run_facts(runner: Any) -> dict[str, Any]:
    """Facts that do not change during a run; plain JSON data."""
    meta = dataset_meta(runner)
    config = runner.cfg
    text = getattr(config, 'pretty_text', '')
    return {
        'format': FORMAT,
        'experiment': experiment_name(runner),
        'seed': getattr(runner, 'seed', None),
        'config_hash': config_hash(config),
        'config': text,
        'classes': [str(name) for name in meta.get('classes') or ()],
        'palette': [[int(value) for value in colour[:3]] for colour in _colours(meta.get('palette'))],
        'versions': {'python': platform.python_version(), **_versions()},
        'machine': {'name': _machine(), 'cpus': os.cpu_count()},
        'max_iters': _max_iters(runner),
    }


def experiment_name(runner: Any) -> str:
    """``experiment_name`` of the config; else the name of the config file; else that of the work dir."""
    named = runner.cfg.get('experiment_name') if hasattr(runner.cfg, 'get') else None
    if named:
        return str(named)
    filename = getattr(runner.cfg, 'filename', None)
    return Path(filename).stem if filename else Path(runner.work_dir).resolve().name


def config_hash(config: Any) -> str:
    """Equal for two configs that differ only in seed, places and logging."""
    plain = config.to_dict() if hasattr(config, 'to_dict') else dict(config)
    plain = {key: value for key, value in plain.items() if key not in NOT_HASHED}
    if isinstance(plain.get('randomness'), Mapping):
        plain['randomness'] = {key: value for key, value in plain['randomness'].items() if key != 'seed'}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def dataset_meta(runner: Any) -> dict[str, Any]:
    """Metainfo (classes, palette) of the evaluated or the training set, of loaders that are built already."""
    for name in ('_val_evaluator', '_test_evaluator'):
        meta = getattr(getattr(runner, name, None), 'dataset_meta', None)
        if meta and meta.get('classes'):
            return dict(meta)
    for name in ('_train_loop', '_val_loop', '_test_loop'):
        loader = getattr(getattr(runner, name, None), 'dataloader', None)
        meta = getattr(getattr(loader, 'dataset', None), 'metainfo', None)
        if meta and meta.get('classes'):
            return dict(meta)
    return {}


def finite(value: Any) -> Any:
    """JSON-able copy: numbers of any library become plain, NaN and infinities ``None``."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if hasattr(value, 'tolist'):  # numpy and torch
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _colours(palette: Any) -> list[Any]:
    """The palette as a list; mmdet writes 'random' where there is none."""
    return [] if palette is None or isinstance(palette, str) else list(palette)


def _versions() -> dict[str, str]:
    """Versions of the packages that are loaded."""
    found = {name: getattr(sys.modules.get(name), '__version__', None) for name in PACKAGES}
    return {name: str(version) for name, version in found.items() if version}


def _machine() -> str:
    """System, processors, accelerator."""
    name = f'{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs'
    return f'{name}, {torch.cuda.get_device_name()}' if torch.cuda.is_available() else name


def _max_iters(runner: Any) -> int | None:
    """Planned iterations of the training, ``None`` for a test run."""
    loop = getattr(runner, '_train_loop', None)
    value = getattr(loop, 'max_iters', None) or getattr(loop, '_max_iters', None)
    return value if isinstance(value, int) else None
