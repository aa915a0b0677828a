"""Two folders of tiny images for semi-supervised data sets: a labelled one, and one without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ('ground', 'roof', 'tree', 'mast')
PACK = [dict(type='PackSegInputs')]
VIEWS = dict(
    type='imbdense.MultiViewSeg',
    weak=[dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5)],
    strong=[dict(type='PhotoMetricDistortion')],
    num_strong=2,
)


def write_semi(root: Path, labeled: int = 3, unlabeled: int = 5, size: int = 40, classes: int = 4) -> Path:
    """``labeled/{images,labels}`` and ``unlabeled`` below ``root``; grey values tell the class, the last is rare."""
    for number in range(labeled + unlabeled):
        rng = np.random.default_rng(number)
        label = np.zeros((size, size), np.uint8)
        for klass in range(1, classes - 1):
            top, left = rng.integers(0, size - 14, 2)
            label[top : top + 14, left : left + 14] = klass
        top, left = rng.integers(0, size - 5, 2)
        label[top : top + 5, left : left + 5] = classes - 1
        image = (40 + 50 * label[..., None] + rng.integers(0, 30, (size, size, 3))).clip(0, 255).astype(np.uint8)
        if number < labeled:
            save(root / 'labeled' / 'images' / f'{number:02d}.png', image)
            save(root / 'labeled' / 'labels' / f'{number:02d}.png', label)
        else:
            save(root / 'unlabeled' / f'{number:02d}.png', image)
    return root


def save(path: Path, array: np.ndarray) -> None:
    """Write an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def labeled_config(root: Path, classes: int = 4) -> dict[str, Any]:
    """The labelled data set."""
    return dict(
        type='imbdense.SegFolderDataset', metainfo=dict(classes=CLASSES[:classes]), data_root=str(root / 'labeled'),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'),
            dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5), *PACK,
        ],
    )  # fmt: skip


def unlabeled_config(root: Path, **options: Any) -> dict[str, Any]:
    """The unlabelled data set."""
    return dict(
        type='imbdense.UnlabeledSegDataset', data_root=str(root), data_prefix=dict(img_path='unlabeled'),
        pipeline=[dict(type='LoadImageFromFile'), VIEWS], **options,
    )  # fmt: skip


def semi_config(root: Path, classes: int = 4, **options: Any) -> dict[str, Any]:
    """Both joined; ``options`` of the unlabelled one except ``overlap``."""
    own = {'overlap': options.pop('overlap')} if 'overlap' in options else {}
    return dict(
        type='imbdense.SemiDataset', labeled=labeled_config(root, classes),
        unlabeled=unlabeled_config(root, **options), **own,
    )  # fmt: skip
