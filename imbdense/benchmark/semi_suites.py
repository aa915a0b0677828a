"""The suites of `imbdense benchmark semi`: four real data sets with a tenth of the training images labelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from imbdense.benchmark.proof_suites import short_schedule
from imbdense.benchmark.suites import Method, Suite

LABELED = 'train_dataloader.dataset.labeled'
SHARE = 0.1
ITERATIONS = 300
BALANCED = dict(type='imbdense.ClassBalancedThreshold', start=0.5, end=0.8, step=0.1, round_steps=75)
ONE_THRESHOLD = dict(type='imbdense.FixedThreshold', threshold=0.95)
UNIMATCH = {'model.consistency': dict(type='imbdense.UniMatchConsistency'), 'model.teacher': 'ema'}
SEGMENTATION_METHODS = (
    Method('supervised', {'model.unsup_weight': 0.0}, 'the labelled images alone'),
    Method(
        'one_threshold', {'model.pseudo': ONE_THRESHOLD},
        'FixMatch: pixels are learned from the teacher where it is sure, by one threshold for all classes'),
    Method(
        'class_balanced', {'model.pseudo': BALANCED},
        'FixMatch, of every class the same share of the predicted pixels is learned, rising from 50 to 80 %'),
    Method(
        'unimatch_one_threshold', {'model.pseudo': ONE_THRESHOLD, **UNIMATCH},
        'UniMatch with a mean teacher: two strong views and one whose features are dropped, one threshold'),
    Method(
        'unimatch_class_balanced', {'model.pseudo': BALANCED, **UNIMATCH}, 'UniMatch with the thresholds per class'),
)
DETECTION_METHODS = (
    Method('supervised', {'model.burn_in': ITERATIONS}, 'the labelled images alone'),
    Method(
        'one_threshold', {'model.pseudo_labeler': dict(type='imbdense.FixedThreshold', threshold=0.5)},
        'a mean teacher whose boxes are learned above one score for all classes; what is below is background'),
    Method(
        'class_balanced',
        {'model.pseudo_labeler': dict(
            type='imbdense.QuantileThreshold', keep='auto', negative='half', round_steps=50, initial=0.5)},
        'of each class as many boxes per image as among the labels; those down to half of that score are neither '
        'object nor background'),
)


@cache
def _table(config: str) -> Any:
    """The class table of the whole list behind the labelled part."""
    from imbdense.benchmark.labels import training_table

    return training_table(config, LABELED, {})


def _labelled(config: str) -> Callable[[str, int], Mapping[str, Any]]:
    """The line that names the labelled images of a seed."""

    def lines(method: str, seed: int) -> dict[str, Any]:
        from imbdense.core.sampling import draw_labelled

        table = _table(config)
        return {f'{LABELED}.indices': draw_labelled(table, round(SHARE * len(table)), seed).tolist()}

    return lines


def _suite(
    name: str, config: str, rare: tuple[str, ...], note: str, methods: tuple[Method, ...]
) -> Suite:
    """A suite of either task; half of each batch of 8 is labelled."""
    detection = methods is DETECTION_METHODS
    prefix = 'coco/bbox_' if detection else ''
    keys = tuple(f'{prefix}AP/{label}' if detection else f'IoU/{label}' for label in rare)
    mean = f'{prefix}mAP' if detection else 'mIoU'
    groups = [f'{mean}_{group}' for group in ('head', 'medium', 'tail')]
    lines = short_schedule(ITERATIONS)
    lines.update({'train_dataloader.batch_size': 8, 'train_dataloader.sampler.batch_size': 8})
    return Suite(
        name, config, methods, mean, keys, tuple(groups), note=note, lines=lines, run_lines=_labelled(config),
        data_root=f'data/{name}', prepare=('prepare', name, '{sources}/' + name, '--out', f'data/{name}'))


_PYRAMID = ('MobileNetV2 (ImageNet) with a feature pyramid to stride 2, half-adjusted cross-entropy and Dice, '
            f'{ITERATIONS} iterations of 4 labelled and 4 unlabelled crops of 128 px.')
_ATSS = f'ATSS, MobileNetV2 (ImageNet, first four stages fixed), focal loss, {ITERATIONS} iterations of 4 + 4'
_ALL = (
    _suite('dsb2018_nuclei', 'semi_supervised/fpn_mobilenetv2_nuclei_semi.py',
           ('touching_border', 'nucleus'),
           f'11 of 114 images of nuclei are labelled; the touching border is 0.58 % of the pixels. {_PYRAMID}',
           SEGMENTATION_METHODS),
    _suite('dubai_aerial', 'semi_supervised/fpn_mobilenetv2_dubai_semi.py', ('vegetation', 'water', 'road'),
           '4 of 36 aerial images are labelled; water is 4.6 % of the training and 48.5 % of the validation pixels. '
           f'{_PYRAMID}', SEGMENTATION_METHODS),
    _suite('bccd', 'semi_supervised/atss_mobilenetv2_bccd_semi.py', ('Platelets', 'WBC'),
           f'20 of 205 images of blood cells are labelled; every class is in nearly every image. {_ATSS} images of '
           '320×240.', DETECTION_METHODS),
    _suite('hit_uav', 'semi_supervised/atss_mobilenetv2_hit_uav_semi.py', ('Bicycle', 'OtherVehicle'),
           f'17 of 170 thermal images from a drone are labelled; bicycles are in 27 of the 170. {_ATSS} windows of '
           '320×256.', DETECTION_METHODS),
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""Every suite of `imbdense benchmark semi` by name."""
