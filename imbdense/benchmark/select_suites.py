"""What `imbdense benchmark select` compares: data sets, selectors, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imbdense.benchmark.proof_suites import short_schedule

SHARES = (10, 20, 30)
"""Labelled images in percent of the pool, with the burn-in's."""
BURN_IN = 5
"""Percent of the pool that is labelled before anything is selected; drawn at random, every class among them."""
LAYER = 'backbone.layer5'
"""Whose map gives the features: stride 16, 96 channels of MobileNetV2."""
SELECTORS: dict[str, tuple[Mapping[str, Any], str]] = {
    'random': (dict(type='imbdense.RandomSelector'), 'any images'),
    'image_k_center': (
        dict(type='imbdense.KCenterGreedy', level='image'), 'images whose mean feature is far from all chosen ones'),
    'free_sel': (dict(type='imbdense.FreeSel'), 'images that own a local pattern no chosen image has'),
    'typiclust': (
        dict(type='imbdense.TypiClust', level='object'), 'images of the most typical object of each cluster'),
    'ofds': (dict(type='imbdense.OFDS'), 'images of objects of new kinds, rarest class first'),
}
"""Row of the tables -> (selector, why)."""


@dataclass(frozen=True, eq=False)
class PoolSource:
    """One data set as a pool.

    Attributes:
        config: supervised config, relative to ``configs/``; ``lines``: changes of it for every run.
        objects: classes that count as objects; empty = all.
        rare: classes whose score the table shows, rarest first; ``detection``: their score is AP, not IoU.
        note: the setting, printed above the tables.
    """

    name: str
    config: str
    rare: tuple[str, ...]
    note: str
    lines: Mapping[str, Any]
    prepare: tuple[str, ...]
    objects: tuple[str, ...] = ()
    detection: bool = False

    @property
    def data_root(self) -> str:
        """Where the prepared data lie."""
        return f'data/{self.name}'

    @property
    def mean_key(self) -> str:
        """Result key of the overall quality."""
        return 'coco/bbox_mAP' if self.detection else 'mIoU'

    @property
    def rare_keys(self) -> tuple[str, ...]:
        """Result keys of the rare classes."""
        prefix = 'coco/bbox_AP' if self.detection else 'IoU'
        return tuple(f'{prefix}/{name}' for name in self.rare)


def _segmentation(
    name: str, config: str, rare: tuple[str, ...], note: str, tile: int, crop: int, extra: Mapping[str, Any],
    objects: tuple[str, ...] = (),
) -> PoolSource:  # fmt: skip
    """Tiles of a segmentation set; ``crop`` = place of the crop in its training pipeline."""
    base = name.removesuffix('_tiles')
    lines = {
        **short_schedule(200),
        'train_dataloader.dataset.data_root': f'data/{name}',
        'val_dataloader.dataset.data_root': f'data/{name}',
        f'train_dataloader.dataset.pipeline.{crop}.crop_size': (128, 128),
        'model.data_preprocessor.size': (128, 128),
        'model.decode_head.loss_decode': [
            dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')],
        **extra,
    }
    note += (f' Tiles of {tile} px. MobileNetV2 (ImageNet) with a feature pyramid to stride 2, half-adjusted '
             'cross-entropy and Dice, 200 iterations of 4 crops of 128 px.')
    prepare = ('prepare', base, '{sources}/' + base, '--tile', str(tile), '--out', f'data/{name}')
    return PoolSource(name, config, rare, note, lines, prepare, objects)


def _detection(name: str, rare: tuple[str, ...], note: str) -> PoolSource:
    """Whole images of a detection set."""
    note += (' ATSS, MobileNetV2 (ImageNet, first four stages fixed), focal loss, 250 iterations of 4 images.')
    prepare = ('prepare', name, '{sources}/' + name, '--out', f'data/{name}')
    return PoolSource(
        name, f'detection/atss_mobilenetv2_{name}_focal.py', rare, note, short_schedule(250), prepare, detection=True)


_DUBAI = {  # a tile is a part of an image: no resizing to one size of all
    'train_dataloader.dataset.pipeline.2': dict(
        type='RandomResize', scale=(256, 256), ratio_range=(0.75, 1.5), keep_ratio=True),
    **{f'{loader}.dataset.pipeline.1': dict(type='Resize', scale=(256, 256), keep_ratio=True)
       for loader in ('val_dataloader', 'test_dataloader')},  # the latter's is that of the pool
}
_ALL = (
    _segmentation(
        'dsb2018_nuclei_tiles', 'medical/fpn_mobilenetv2_nuclei_ce.py', ('touching_border', 'nucleus'),
        '1086 tiles of images of nuclei; the touching border is 0.58 % of the pixels.', 128, 2, {},
        ('nucleus', 'touching_border')),
    _segmentation(
        'dubai_aerial_tiles', 'segmentation/fpn_mobilenetv2_dubai_ce.py', ('vegetation', 'water', 'road'),
        '990 tiles of aerial images; water is 4.6 % of the training and 48.5 % of the validation pixels.', 256, 3,
        _DUBAI),
    _detection('bccd', ('Platelets', 'WBC'), '205 images of blood cells, every class in nearly every image.'),
    _detection('hit_uav', ('Bicycle', 'OtherVehicle'),
               '170 thermal images from a drone; bicycles are in 27 of them, OtherVehicle has 12 validation boxes.'),
)
SOURCES: dict[str, PoolSource] = {source.name: source for source in _ALL}
"""Every data set of the benchmark by name."""
