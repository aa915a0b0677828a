"""The speed cases by name. Each room is a module with ``CASES``; its imports happen when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

ROOMS: dict[str, tuple[str, ...]] = {
    'losses': ('balanced-softmax', 'reweighted-ce', 'per-class-dice', 'binned-lovasz'),
    'long_tail_losses': (
        'focal', 'focal-weighted', 'ldam', 'cdt', 'label-aware-smooth', 'lade', 'influence-balanced', 'softmax-eql',
        'logit-variation', 'sigmoid-focal-cb',
    ),
    'metrics': ('confusion-torch', 'confusion-fast', 'auroc-auprc'),
    'change': ('change-counting', 'transition-counting'),
    'scan': ('label-scan', 'label-scan-palette', 'label-scan-cached'),
    'crop': ('rare-crop', 'rare-crop-search', 'geotiff-window'),
    'paste': ('instance-paste', 'instance-paste-area'),
    'sampling': ('sampler-start',),
    'statistics': ('class-statistics', 'confusion-statistic'),
    'scene': ('scene',),
    'pseudo_label': ('obc-kde', 'obc-kde-distinct'),
    'optim': ('muon-step',),
    'selection': ('k-centre', 'k-centre-large', 'k-centre-product', 'k-means', 'knn-faiss', 'knn-sklearn'),
    'selection_scale': ('ofds',),
    'binned_clusters': ('binned-clusters',),
    'raster': ('slide-mmseg', 'slide-monai', 'raster-monai', 'raster-reading'),
    'terrain': ('terrain-slope', 'terrain-position'),
    'selective_scan': ('selective-scan', 'vss-block'),
    'points': ('voxel-grid', 'voxel-grid-ground', 'point-neighbours', 'sparse-conv'),
    'sparse_unet': ('sparse-unet',),
}
"""Module -> the names of its cases, so that the list is known without importing anything."""


def case_names() -> list[str]:
    """All names, in the order of the table."""
    return [name for names in ROOMS.values() for name in names]


def load_case(name: str) -> Any:
    """Return one case (it has ``measure() -> list[SpeedResult]``); ``KeyError`` for an unknown name."""
    room = next(room for room, names in ROOMS.items() if name in names)
    module = importlib.import_module(f'imbdense.benchmark.speed_cases.{room}')
    return next(case for case in module.CASES if case.name == name)
