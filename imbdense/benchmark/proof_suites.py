"""The suites of `imbdense benchmark proof`, and the one behind `make train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imbdense.benchmark.suites import Method, Suite
from imbdense.core.sampling.subset import ImbalanceKind, imbalance_profile
from imbdense.data.scene.presets import PRESETS

LOSS = 'model.decode_head.loss_decode'
CLS = 'model.bbox_head.loss_cls'
SAMPLER = 'train_dataloader.sampler'
CLASS_AWARE = dict(type='imbdense.BalancedClassSampler', infinite=True)

SEGMENTATION_METHODS = (
    Method('ce', why='the host\'s cross-entropy: the baseline'),
    Method(
        'weighted_ce', {LOSS: dict(type='imbdense.ReweightedCELoss', scheme='inverse')},
        'weights by inverse class frequency: every class counts alike, whatever its false alarms cost the others'),
    Method(
        'balanced_softmax', {LOSS: dict(type='imbdense.BalancedSoftmaxLoss')},
        'the whole log prior is corrected: best recall of rare classes, many false alarms'),
    Method(
        'class_aware_sampling', {SAMPLER: CLASS_AWARE},
        'images that hold a rare class are drawn as often as images of any other class'),
    Method(
        'logit_adjust_dice',
        {LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')]},
        'half of the log prior is corrected, which lifts the rare class without flooding the image with it, and a Dice '
        'term per class rewards overlap, so false alarms of the rare class cost as much as misses'),
)
_RARE_CROP = Method(
    'rare_crop_logit_adjust_dice',
    {'train_dataloader.dataset.pipeline.2': dict(
        type='imbdense.RareClassCrop', crop_size=(64, 64), rate=1.0, classes=[4, 5, 6, 7, 8, 9]),
     LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=1.0), dict(type='imbdense.PerClassDiceLoss')]},
    'every crop holds an object; the ledger tells the loss what the crops leave of the imbalance, and the Dice per '
    'class keeps false alarms down')
_FOCAL = dict(use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)
DETECTION_METHODS = (
    Method('focal', why='the host\'s focal loss: the baseline'),
    Method(
        'weighted_focal', {CLS: dict(type='imbdense.ReweightedCELoss', scheme='inverse', **_FOCAL)},
        'focal loss weighted by inverse class frequency'),
    Method(
        'balanced_softmax', {CLS: dict(type='imbdense.BalancedSoftmaxLoss', **_FOCAL)},
        'focal loss whose logits know the whole log prior between the foreground classes'),
    Method(
        'logit_adjust', {CLS: dict(type='imbdense.LogitAdjustLoss', tau=0.5, **_FOCAL)},
        'the same with half of the log prior'),
    Method('class_aware_sampling', {SAMPLER: CLASS_AWARE}, 'images are drawn so that every class comes equally often'),
)


def _rare_box_crop(place: int, size: tuple[int, int]) -> Method:
    """The recipe for detection; ``place`` of the crop in the training pipeline."""
    crop = dict(type='imbdense.RareBoxCrop', crop_size=size, rate=1.0)
    return Method(
        'class_aware_rare_crop', {SAMPLER: CLASS_AWARE, f'train_dataloader.dataset.pipeline.{place}': crop},
        'the sampler brings the images with rare objects, the crop brings the objects themselves: every training '
        'window holds an object, most often of the rarer classes')


def short_schedule(iterations: int) -> dict[str, Any]:
    """CPU minutes: fewer iterations, small batches, one validation."""
    lines: dict[str, Any] = {
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': iterations,
        'param_scheduler.1.end': iterations,
        'param_scheduler.1.T_max': iterations - 50,
        'train_dataloader.batch_size': 4,
        'default_hooks.checkpoint.interval': 100,
    }
    for loader in ('train_dataloader', 'val_dataloader'):
        lines[f'{loader}.num_workers'] = 0
        lines[f'{loader}.persistent_workers'] = False
    return lines


def _shared(name: str) -> dict[str, Any]:
    """Where a small real data set is expected, and how it is made."""
    return {'data_root': f'data/{name}', 'prepare': ('prepare', name, '{sources}/' + name, '--out', f'data/{name}')}


def _segmentation(
    name: str, config: str, rare: tuple[str, ...], note: str, data: Mapping[str, Any], lines: Mapping[str, Any]
) -> Suite:
    """A segmentation suite with the standard methods."""
    keys = tuple(f'IoU/{label}' for label in rare)
    groups = ('mIoU_head', 'mIoU_medium', 'mIoU_tail')
    return Suite(name, config, SEGMENTATION_METHODS, 'mIoU', keys, groups, note=note, lines=lines, **data)


def _detection(
    name: str, config: str, rare: tuple[str, ...], note: str, iterations: int, recipe: Method
) -> Suite:
    """A detection suite with the standard methods; the score cut is low for every method, or it hides rare classes."""
    keys = (*(f'coco/bbox_AP/{label}' for label in rare), *(f'coco/bbox_AP50/{label}' for label in rare))
    groups = ('coco/bbox_mAP_50', 'coco/bbox_mAP_head', 'coco/bbox_mAP_medium', 'coco/bbox_mAP_tail')
    return Suite(
        name, config, (*DETECTION_METHODS, recipe), 'coco/bbox_mAP', keys, groups, note=note,
        lines=short_schedule(iterations), **_shared(name))


def scenes_suite(ratio: int, kind: ImbalanceKind = 'exp') -> Suite:
    """Generated scenes of one imbalance ratio between the object classes; 1 = all alike.

    'exp' stretches the preset's own long tail; 'step' (half of the classes are rare) and 'linear' keep its order of
    the classes.
    """
    name = f'scenes_{"ir" if kind == "exp" else kind}{ratio}'
    root = f'data/{name}'
    making = ('generate', 'scenes', '--preset', 'demo', '--num', '6', '--val', '2', '--seed', '1',
              *_dial(ratio, kind), '--out', root)
    lines = {**short_schedule(300), 'train_dataloader.batch_size': 8,
             'train_dataloader.dataset.data_root': root, 'val_dataloader.dataset.data_root': root}
    rare = ('IoU/two_wheeler', 'IoU/clutter', 'IoU/pole_sign', 'IoU/fence', 'IoU/truck')
    shape = '' if kind == 'exp' else f' ({kind} profile)'
    return Suite(
        name, 'benchmark/fpn_mobilenetv2_scenes_ce.py', (*SEGMENTATION_METHODS[:-1], _RARE_CROP),
        'mIoU', rare, ('mIoU_head', 'mIoU_medium', 'mIoU_tail'), data_root=root, prepare=making, lines=lines,
        note=f'Generated aerial scenes, imbalance ratio {ratio} between the raw object classes{shape}, 100 training '
             'and 50 validation images, 10 classes; MobileNetV2 pyramid, 300 iterations of 8 crops of 64 px.')


def _dial(ratio: int, kind: ImbalanceKind) -> tuple[str, ...]:
    """The options of `imbdense generate scenes` that set the mix of the object classes."""
    if ratio == 1:
        return '--profile', 'balanced'
    if kind == 'exp':
        return '--imbalance-ratio', str(ratio)
    shares = PRESETS['demo'].scene.mix.profile
    if isinstance(shares, str):
        raise TypeError(f"the preset 'demo' must list its shares, but has the profile {shares!r}.")
    ranked = sorted(shares, key=lambda name: -shares[name])
    wanted = ratio * imbalance_profile(kind, len(ranked), ratio)
    return '--profile', ','.join(f'{name}={share:g}' for name, share in zip(ranked, wanted))


_PYRAMID = 'MobileNetV2 (ImageNet) with a feature pyramid to stride 2, 200 iterations of 4 crops of 192 px.'
_ATSS = 'ATSS, MobileNetV2 (ImageNet, first four stages fixed), pyramid of 64 channels'
_ALL: tuple[Suite, ...] = (
    _segmentation('dsb2018_nuclei', 'medical/fpn_mobilenetv2_nuclei_ce.py', ('touching_border', 'nucleus'),
                  f'Nuclei in microscopy; the touching border is 0.58 % of the pixels. {_PYRAMID}',
                  _shared('dsb2018_nuclei'), short_schedule(200)),
    _segmentation('dubai_aerial', 'segmentation/fpn_mobilenetv2_dubai_ce.py', ('vegetation', 'water', 'road'),
                  'Aerial images, 5 classes, imbalance ratio 13.9, with a strong label shift: water is 4.6 % of the '
                  f'training and 48.5 % of the validation pixels. {_PYRAMID}',
                  _shared('dubai_aerial'), short_schedule(200)),
    _detection('bccd', 'detection/atss_mobilenetv2_bccd_focal.py', ('Platelets', 'WBC'),
               f'Blood cells, imbalance ratio 11.5, every class in every image. {_ATSS}, 250 iterations of 4 images of '
               '320×240.', 250, _rare_box_crop(3, (176, 240))),
    _detection('hit_uav', 'detection/atss_mobilenetv2_hit_uav_focal.py', ('Bicycle', 'OtherVehicle'),
               'Thermal images from a drone. Bicycles are in 27 of 170 training images; OtherVehicle has 76 training '
               'and 12 validation boxes, so its AP moves in large steps. '
               f'{_ATSS}, 400 iterations of 4 windows of 320×256.',
               400, _rare_box_crop(2, (256, 320))),
    scenes_suite(10), scenes_suite(100), scenes_suite(1000),
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""Every suite of `imbdense benchmark proof` by name."""

DEMO = Suite(
    'demo', 'segmentation/unet_scenes_ce.py',
    (Method('plain', why='cross-entropy'),
     Method('rebalanced', config='segmentation/unet_scenes_balanced.py', why='rare-class crops and a rebalanced loss')),
    'mIoU', ('IoU/vehicle', 'IoU/truck', 'IoU/fence', 'IoU/clutter', 'IoU/pole_sign', 'IoU/two_wheeler'),
    ('mIoU_head', 'mIoU_medium', 'mIoU_tail'), data_root='data/scenes',
    prepare=('generate', 'scenes', '--preset', 'demo', '--out', 'data/scenes'))
