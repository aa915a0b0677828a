"""The axes of `imbdense benchmark imbalance`: sampling x loss x post hoc x data, as config lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from imbdense.benchmark.suites import Method, Suite
from imbdense.core.sampling.subset import ImbalanceKind

LOSS = 'model.decode_head.loss_decode'
SAMPLER = 'train_dataloader.sampler'
HOOKS = 'custom_hooks'
BASELINE = ('natural', 'ce')

SAMPLINGS: dict[str, Mapping[str, Any]] = {
    'natural': {},
    'class_aware': {SAMPLER: dict(type='imbdense.BalancedClassSampler', infinite=True)},
    'repeat_factor': {SAMPLER: dict(type='imbdense.RepeatFactorSampler', infinite=True)},
}
LOSSES: dict[str, Mapping[str, Any]] = {
    'ce': {},
    'weighted_ce': {LOSS: dict(type='imbdense.ReweightedCELoss', scheme='inverse')},
    'class_balanced': {LOSS: dict(type='imbdense.ReweightedCELoss', scheme='effective')},
    'logit_adjust': {LOSS: dict(type='imbdense.LogitAdjustLoss', tau=0.5)},
    'balanced_softmax': {LOSS: dict(type='imbdense.BalancedSoftmaxLoss')},
    'dice': {LOSS: [dict(type='CrossEntropyLoss'), dict(type='imbdense.PerClassDiceLoss')]},
    'lovasz': {LOSS: [dict(type='CrossEntropyLoss'), dict(type='imbdense.BinnedLovaszLoss')]},
    'logit_adjust_dice': {
        LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')]
    },
    'logit_adjust_lovasz': {
        LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.BinnedLovaszLoss')]
    },
}
CLS = 'model.bbox_head.loss_cls'
_FOCAL = dict(use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)
DETECTION_LOSSES: dict[str, Mapping[str, Any]] = {
    'ce': {},
    'weighted_ce': {CLS: dict(type='imbdense.ReweightedCELoss', scheme='inverse', **_FOCAL)},
    'class_balanced': {CLS: dict(type='imbdense.ReweightedCELoss', scheme='effective', **_FOCAL)},
    'logit_adjust': {CLS: dict(type='imbdense.LogitAdjustLoss', tau=0.5, **_FOCAL)},
    'balanced_softmax': {CLS: dict(type='imbdense.BalancedSoftmaxLoss', **_FOCAL)},
}
"""The same ideas on the sigmoid focal loss of a dense detector; 'ce' is the host's focal loss."""

POST_HOCS: dict[str, Mapping[str, Any]] = {
    'none': {},
    'shift': {HOOKS: [dict(type='imbdense.PostHocLogitAdjustHook', tau=1.0)]},
    'half_shift': {HOOKS: [dict(type='imbdense.PostHocLogitAdjustHook', tau=0.5)]},
}
"""What is done to the scores of a finished model; costs a test, not a training."""


REAL = ('dsb2018_nuclei', 'dubai_aerial', 'bccd', 'hit_uav')
PROFILES: tuple[ImbalanceKind, ...] = get_args(ImbalanceKind)


@dataclass(frozen=True)
class Size:
    """How large the grid is.

    Attributes:
        samplings, losses, post_hocs: names of the axes' points.
        ratios: imbalance ratios of the generated scenes; 1 (balanced objects) is always added, for relative accuracy.
        profiles: how the classes lie between the most and the least frequent one: 'exp', 'step' (half of them are
            rare) and 'linear', as in Buda et al.
        real: names of real sets, of :data:`REAL`.
        iterations: of each training; ``None`` = those that the suites have in `imbdense benchmark proof` (200 to 400).
        seeds: how many.
    """

    samplings: tuple[str, ...]
    losses: tuple[str, ...]
    post_hocs: tuple[str, ...]
    ratios: tuple[int, ...]
    profiles: tuple[ImbalanceKind, ...]
    real: tuple[str, ...]
    iterations: int | None
    seeds: int


SIZES: dict[str, Size] = {
    'tiny': Size(('natural',), ('ce', 'balanced_softmax'), ('none', 'shift'), (100,), ('exp',), (), 20, 2),
    'laptop': Size(
        ('natural', 'class_aware'),
        ('ce', 'weighted_ce', 'balanced_softmax', 'logit_adjust_dice', 'logit_adjust_lovasz'),
        ('none', 'shift'), (100,), ('exp',), ('dsb2018_nuclei',), None, 3,
    ),
    'full': Size(
        tuple(SAMPLINGS), tuple(LOSSES), tuple(POST_HOCS), (10, 100, 1000), PROFILES, REAL, 2000, 5,
    ),
}


def method_name(sampling: str, loss: str) -> str:
    """Name of a trained point."""
    return f'{sampling}+{loss}'


def methods(
    samplings: Sequence[str], losses: Sequence[str], lines: Mapping[str, Mapping[str, Any]]
) -> tuple[Method, ...]:
    """Every sampling with every loss that ``lines`` knows; natural sampling with 'ce' comes first, the baseline."""
    points = [(sampling, loss) for sampling in samplings for loss in losses if loss in lines]
    ordered = sorted(points, key=lambda point: point != BASELINE)
    return tuple(Method(method_name(*point), {**SAMPLINGS[point[0]], **lines[point[1]]}) for point in ordered)


def scene_suite(ratio: int, profile: ImbalanceKind, size: Size) -> Suite:
    """Generated scenes trained at one imbalance; all of them are validated on the same, balanced scenes."""
    from imbdense.benchmark.proof_suites import scenes_suite

    data, balanced = scenes_suite(ratio, profile), scenes_suite(1).data_root
    lines = {
        **data.lines, 'val_dataloader.dataset.data_root': balanced, 'test_dataloader.dataset.data_root': balanced,
    }
    return _sized(data, size, lines)


def real_suite(name: str, size: Size) -> Suite:
    """A small real set with its own imbalance; rare = the class that the proof names first."""
    from imbdense.benchmark.proof_suites import SUITES

    suite = SUITES[name]
    return _sized(replace(suite, rare_keys=suite.rare_keys[:1]), size, suite.lines)


def _sized(suite: Suite, size: Size, lines: Mapping[str, Any]) -> Suite:
    """``suite`` with the methods and the number of iterations of ``size``."""
    lines_of_losses = DETECTION_LOSSES if suite.config.startswith('detection/') else LOSSES
    suite = replace(suite, methods=methods(size.samplings, size.losses, lines_of_losses), lines=dict(lines))
    return suite if size.iterations is None else _with_iterations(suite, size.iterations)


def _with_iterations(suite: Suite, iterations: int) -> Suite:
    """``suite`` with its schedule stretched to ``iterations``."""
    warm_up = min(50, iterations // 5)
    schedule = {
        'train_cfg.max_iters': iterations, 'train_cfg.val_interval': iterations,
        'param_scheduler.0.end': warm_up, 'param_scheduler.1.begin': warm_up,
        'param_scheduler.1.end': iterations, 'param_scheduler.1.T_max': iterations - warm_up,
    }
    note = re.sub(r'\d+ iterations', f'{iterations} iterations', suite.note)
    return replace(suite, lines={**suite.lines, **schedule}, note=note)
