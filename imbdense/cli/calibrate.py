"""Fit a post-hoc calibration of a finished model on its saved outputs, and say whether it helps on held-out images.

  imbdense calibrate CONFIG CHECKPOINT --method norcal
  imbdense calibrate CONFIG CHECKPOINT --method logit-adjust --objective mRecall

methods: norcal (detectors), logit-adjust, fracal: one strength, from the class counts of the training
         threshold: one per class, fitted on the outputs      temperature: probabilities that mean what they say

The model runs once; its outputs are kept, so another method takes seconds. The result is calibration.json, which
imbdense.CalibrationHook applies at test time.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._explain import explained
from imbdense.cli._numbers import number, whole
from imbdense.cli._outputs import add_output_arguments, finished_outputs, progress_line, work_dir

if TYPE_CHECKING:
    from imbdense.core.inference.fit_segmentation import Fitted
    from imbdense.mm.inference.calibrate import CalibrateOptions
    from imbdense.mm.inference.run_prior import TrainedPrior

METHODS = ('norcal', 'logit-adjust', 'fracal', 'threshold', 'temperature')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_output_arguments(parser)
    parser.add_argument('--method', choices=METHODS, required=True, help='what to fit')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='default: calibration.json in the work dir')
    parser.add_argument('--folds', type=whole(2), default=5, help='cross-validation folds over images (5)')
    parser.add_argument('--objective', choices=('mIoU', 'mRecall', 'mAP', 'mAP_50'),
                        help='what is to rise: mIoU (default) or mRecall; detection: mAP (default) or mAP_50')
    parser.add_argument('--metric', choices=('bbox', 'segm'), default='bbox',
                        help='detection: AP and F1 of boxes (default) or of masks')
    parser.add_argument('--values', type=number(), nargs='+', metavar='X', help='strengths to try: gamma, tau, lambda')
    parser.add_argument('--criterion', choices=('iou', 'f1', 'youden'),
                        help='threshold: iou = mean IoU of the argmax (segmentation), f1, youden = class by class')
    parser.add_argument('--count', choices=('images', 'instances'), help='norcal: counts to use (images)')
    parser.add_argument('--no-center', action='store_true', help='norcal, logit-adjust on detectors: the published '
                        'form, which lowers all objects against the background too; lower --score-thr with it')
    parser.add_argument('--score-thr', type=float, help='detection: score threshold for the plain model and all others')
    parser.add_argument('--max-per-img', type=int, help='detection: detections per image, for all')
    parser.add_argument('--force', action='store_true', help='correct although training corrected already')


def run(args: argparse.Namespace) -> int:
    """Save outputs, fit, test on held-out folds, write the file, say how to use it."""
    with explained(args.config, args.traceback):
        from mmengine.dist import is_main_process

        from imbdense.mm.inference.calibrate import calibration_file, exact_score, fit_outputs

        finished, store = finished_outputs(args, 'calibrate')
        if not is_main_process():
            return 0
        prior = _prior(finished, args)
        with progress_line(f'fit {args.method}') as progress:
            fitted, strength = fit_outputs(store, prior, finished.config, _options(args), progress)
        target = args.out or work_dir(args) / 'calibration.json'
        calibration_file(store, prior, fitted, strength, args.force).write(target)
        _show(fitted, list(finished.classes), prior, args.method)
        exact = exact_score(store, fitted.objective)
        if exact is not None:
            print(f'plain model over all pixels: {fitted.objective} {exact:.4f}')
        _advise(fitted, target, args)
    return 0


def _options(args: argparse.Namespace) -> CalibrateOptions:
    """The flags as the fitting takes them."""
    from imbdense.mm.inference.calibrate import CalibrateOptions

    return CalibrateOptions(
        args.method, args.objective, args.criterion, args.values, args.count, not args.no_center, args.folds, args.seed,
        args.score_thr, args.max_per_img, args.force, args.metric,
    )  # fmt: skip


def _prior(finished: Any, args: argparse.Namespace) -> TrainedPrior | None:
    """The prior of the model; a temperature and thresholds also work where nothing is known of the training."""
    from imbdense.mm.inference.run_prior import trained_prior

    if args.method in ('threshold', 'temperature') and args.class_counts is None:
        return None
    return trained_prior(finished, args.class_counts)


def _show(fitted: Fitted, classes: list[str], prior: TrainedPrior | None, method: str) -> None:
    """Tables: strengths tried, classes before and after on held-out images."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if prior is not None and prior.empty:
        console.print(f'[yellow]no training sample of {", ".join(prior.empty)}: counted as one[/yellow]')
    if fitted.tried:
        best = max(fitted.tried, key=lambda pair: pair[1])[1]
        line = '  '.join(f'{value:g}: {score:.4f}{"*" if score == best else ""}' for value, score in fitted.tried)
        console.print(f'{method}, {fitted.objective} on all images by strength\n  {line}')
    table = Table(box=None, pad_edge=False)
    for name in ('class', 'plain', 'calibrated', 'change'):
        table.add_column(name, justify='left' if name == 'class' else 'right')
    for name, plain, now in zip(classes, *fitted.per_class):
        if math.isnan(plain):
            table.add_row(name, 'no ground truth', '', '')
        else:
            table.add_row(name, f'{plain:.4f}', f'{now:.4f}', f'{now - plain:+.4f}')
    console.print(f'\n{fitted.objective} of each class, held-out folds')
    console.print(table)
    empty = [name for name, plain in zip(classes, fitted.per_class[0]) if math.isnan(plain)]
    if empty and method == 'threshold':
        console.print(f'[yellow]{", ".join(empty)}: nothing to fit a threshold on[/yellow]')


def _advise(fitted: Fitted, target: Path, args: argparse.Namespace) -> None:
    """The gain with its interval, and the config line or the refusal."""
    gain = fitted.gain
    low, high = gain.interval
    print(f'\ngain on held-out images: {gain.mean:+.4f} ± {gain.std:.4f} {fitted.objective} over {gain.gains.size} '
          f'folds (95 % interval of the mean {low:+.4f} … {high:+.4f})')
    print(f'fitted: {_parameters(fitted)}; written to {target}')
    if not gain.recommended:
        print('not recommended: the interval includes 0, so on this data the gain cannot be told from chance. More '
              'images, another method, or `imbdense diagnose` to see what is wrong.')
        return
    print(f"recommended. Add to custom_hooks of the config:\n  dict(type='imbdense.CalibrationHook', file='{target}')")
    if fitted.calibration.method == 'temperature' and fitted.objective == 'log-likelihood':
        print('A temperature changes no label of a segmentor; a detector needs another score_thr with it.')
    if fitted.calibration.method == 'logit-adjust' and not args.no_center and not args.force:
        tau = fitted.calibration.parameters['tau']
        print(f"or, with a checkpoint that holds its prior: dict(type='imbdense.PostHocLogitAdjustHook', tau={tau:g})")


def _parameters(fitted: Fitted) -> str:
    """The scalars that were fitted, and the thresholds."""
    shown = {k: v for k, v in fitted.calibration.parameters.items() if isinstance(v, float) and not math.isnan(v)}
    text = ', '.join(f'{key} {value:.4g}' for key, value in shown.items())
    thresholds = fitted.calibration.thresholds or fitted.calibration.parameters.get('thresholds')
    if thresholds:
        text += (', ' if text else '') + 'thresholds ' + ' '.join(f'{value:.3f}' for value in thresholds)
    return text or fitted.calibration.method
