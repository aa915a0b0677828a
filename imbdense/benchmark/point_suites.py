"""The suites of `imbdense benchmark points`: classes of one cloud, and change between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imbdense.benchmark.proof_suites import CLASS_AWARE, LOSS, SAMPLER
from imbdense.benchmark.suites import Method, Suite

GROUPS = ('mIoU_head', 'mIoU_medium', 'mIoU_tail', 'aAcc')
CROP = 'train_dataloader.dataset.pipeline.2'
PAIR_CROP = 'train_dataloader.dataset.pipeline.0'
LOSSES = (
    Method('ce', why='cross-entropy: the baseline'),
    Method('weighted_randla', {LOSS: dict(type='imbdense.ReweightedCELoss', scheme='randla')},
           'weights 1 / (share + 0.02), the usual remedy for point clouds'),
    Method('weighted_sqrt', {LOSS: dict(type='imbdense.ReweightedCELoss', scheme='sqrt')},
           'weights by the root of the inverse count'),
    Method('balanced_softmax', {LOSS: dict(type='imbdense.BalancedSoftmaxLoss')},
           'the whole log prior that crops and voxels leave is corrected'),
    Method('logit_adjust_dice',
           {LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')]},
           'half of the log prior, and a Dice per class that makes false alarms cost as much as misses'),
)  # fmt: skip
TRAIN_SETS = 'train_dataloader.dataset.datasets'
FIRST_TILE = [1]
"""Of the sorted training tiles the first of 50 m: the one farthest from those of validation, and poor in low plants."""
_TRANSFER = 'point_cloud/sparse_unet_aerial_to_ign_{}.py'
TRANSFER = (
    Method('real', why='the four real training tiles'),
    Method('synthetic', why='eight generated laser clouds, no real label', config=_TRANSFER.format('synthetic')),
    Method('both', why='half of the crops from each', config=_TRANSFER.format('both')),
    Method('real_one_tile', {f'{TRAIN_SETS}.0.indices': FIRST_TILE}, 'a single labelled tile of 50 m'),
    Method('both_one_tile', {f'{TRAIN_SETS}.0.dataset.indices': FIRST_TILE, f'{TRAIN_SETS}.0.times': 8},
           'that tile and the generated clouds, half of the crops from each', _TRANSFER.format('both')),
)  # fmt: skip


def _rare_crops(radius: float) -> tuple[Method, ...]:
    """Crops centred on rare classes, with plain and with adjusted logits."""
    lines: Mapping[str, Any] = {
        SAMPLER: CLASS_AWARE,
        CROP: dict(type='imbdense.SphereCrop', radius=radius, center='rare', tau=0.5)}
    adjusted = {LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')]}
    return (
        Method('rare_crops', lines, 'scenes class by class, spheres round points drawn by n ** -0.5; cross-entropy'),
        Method('rare_crops_adjusted', {**lines, **adjusted},
               'the same crops; of the prior they leave half is corrected, and a Dice per class'),
    )  # fmt: skip


def _saved_at_end(iterations: int) -> dict[str, Any]:
    """One checkpoint, data loaded in the process of the training."""
    lines: dict[str, Any] = {
        'default_hooks.checkpoint.interval': iterations, 'default_hooks.checkpoint.save_best': None}
    for loader in ('train_dataloader', 'val_dataloader'):
        lines |= {f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
    return lines


def _pair_lines(radius: float, crops: int, iterations: int) -> dict[str, Any]:
    """Cylinders of a radius, so many per step and so many steps."""
    grid = dict(type='imbdense.PairCylinderGrid', radius=radius, step=radius)
    return {
        PAIR_CROP: _cylinder(radius, 'rare'),
        'val_dataloader.dataset.pipeline.0': grid, 'test_dataloader.dataset.pipeline.0': grid,
        'train_dataloader.batch_size': crops, 'train_cfg.max_iters': iterations, 'train_cfg.val_interval': iterations,
        'param_scheduler.1.end': iterations, 'param_scheduler.1.T_max': iterations - 50, **_saved_at_end(iterations)}


def _cylinder(radius: float, center: str) -> dict[str, Any]:
    """Crops of pairs."""
    return dict(type='imbdense.PairCylinderCrop', radius=radius, center=center, tau=0.5)


HALF = {LOSS: dict(type='imbdense.LogitAdjustLoss', tau=0.5)}
PAIRS = (
    Method('m3c2_rules', why='distances with a level of detection, and rules; nothing is learnt, no label is used',
           config='point_cloud/m3c2_cloud_pairs.py', trained=False),
    Method('epoch2', {**HALF, 'model.fusion': 'none'}, 'the network sees epoch 2 alone: what the shapes give away'),
    Method('ef_uniform', {**HALF, PAIR_CROP: _cylinder(12.0, 'uniform')},
           'Encoder-Fusion of both epochs, crops evenly over the ground'),
    Method('ef_rare', HALF, 'the same, crops round rare changes (class drawn by n ** -0.5)'),
    Method('ef_rare_features', {
        **HALF, 'model.backbone.in_channels': 3,
        **{f'{loader}_dataloader.dataset.pipeline.{step}':
           dict(type='imbdense.PackPointPair', depth=3, features=('ones', 'height', 'stability'))
           for loader, step in (('train', 2), ('val', 1), ('test', 1))}},
        'the same with hand-crafted features: height above the lowest point, and how much of the other epoch is near'),
)
_ALL = (
    Suite(
        'ign_lidar_hd', 'point_cloud/sparse_unet_ign_lidar_hd_ce.py', (*LOSSES, *_rare_crops(12.0)), 'mIoU',
        ('IoU/medium vegetation', 'IoU/low vegetation', 'IoU/lasting structure'), GROUPS, 'data/ign_lidar_hd',
        ('prepare', 'ign_lidar_hd', '{sources}/ign_lidar_hd', '--out', 'data/ign_lidar_hd'),
        'Airborne laser scanning, 4 + 2 tiles, imbalance ratio 1,608 in training; lasting structures are 27 points of '
        'the validation tiles, so their IoU moves in large steps. Sparse U-Net of 16 channels at 0.5 m, 200 iterations '
        'of 4 spheres of 12 m.', _saved_at_end(200)),
    Suite(
        'clouds', 'point_cloud/sparse_unet_scenes_ce.py', LOSSES, 'mIoU', ('IoU/light/sign', 'IoU/fence'),
        (*GROUPS, 'recall/light/sign', 'recall/fence'), 'data/clouds',
        ('generate', 'clouds', '--preset', 'small', '--num', '6', '--val', '2', '--out', 'data/clouds'),
        'Generated photogrammetric clouds, 4 + 2 scenes of 80 m, six classes of STPLS3D. Two-level sparse U-Net of 16 '
        'channels at 0.8 m, 80 iterations of a whole scene.', _saved_at_end(80)),
    Suite(
        'ign_transfer', _TRANSFER.format('real'), TRANSFER, 'mIoU',
        ('IoU/low vegetation', 'IoU/medium vegetation', 'IoU/other'),
        (*GROUPS, 'IoU/ground', 'IoU/high vegetation', 'IoU/building'), 'data/ign_lidar_hd',
        ('prepare', 'ign_lidar_hd', '{sources}/ign_lidar_hd', '--out', 'data/ign_lidar_hd'),
        'From generated to real airborne laser scanning, as the table of STPLS3D: trained on real tiles, on generated '
        'clouds, on both, and with one real tile only; always scored on the two real validation tiles, six classes. '
        'Groups are those of the real training set in every row. Sparse U-Net of 16 channels at 0.5 m, 200 iterations '
        'of 4 spheres of 12 m; height above ground and numbers of returns, no intensity.', _saved_at_end(200),
        more_data={'data/ign_like': ('generate', 'clouds', '--preset', 'ign-lidar', '--out', 'data/ign_like')}),
    Suite(
        'cloud_pairs', 'point_cloud/siamese_unet_cloud_pairs_ef.py', PAIRS, 'mIoU_change',
        ('IoU/mobile objects', 'IoU/missing vegetation', 'recall/mobile objects', 'recall/missing vegetation'),
        ('mIoU_all', 'change_F1', 'detection_rate'), 'data/cloud_pairs',
        ('generate', 'cloud-pairs', '--preset', 'small-lidar', '--seed', '0', '--out', 'data/cloud_pairs'),
        'Change between generated pairs of airborne surveys, 6 + 2 pairs of 100 m, 5 % changed, six kinds of change. '
        'Siamese sparse U-Net of 16 channels at 1 m, 600 iterations of 8 cylinders of 12 m; half of the prior that the '
        'crops leave is corrected.', _pair_lines(12.0, 8, 600)),
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""Every suite by name."""
