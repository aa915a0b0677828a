"""Label an unlabelled set with a finished model: one round of self-training, off-line.

  imbdense pseudo-label CONFIG CHECKPOINT --images photos/ --out pseudo
  imbdense pseudo-label CONFIG CHECKPOINT --images list.txt --out pseudo --rule class-adaptive
  torchrun --nproc_per_node 4 -m imbdense pseudo-label CONFIG CHECKPOINT --images photos/ --out pseudo

rules: fixed           a threshold, or one per class
       class-balanced  the same share of every class (CBST)
       class-adaptive  a larger share of the classes that are rare among the labels
       auto            as many of each class as the labels would make of the unlabelled set

Detectors give pseudo_labels.json (COCO; boxes between the two thresholds are crowd boxes, which mmdet ignores),
segmentors labels/NAME.png (255 = rejected), confidence/NAME.png (floor(255 p)) and images.txt (split file).
pseudo_report.json holds the counts of each class before and after every filter. A stopped run goes on with the same
command; nothing else is overwritten.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._numbers import number, positive_share, share
from imbdense.cli._outputs import progress_line
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import LAUNCHERS, add_config_arguments, load_config, set_launcher
from imbdense.cli.main import UserError
from imbdense.cli.predict import SUFFIXES, find_images

if TYPE_CHECKING:
    from imbdense.mm.pseudo_label.outputs import ImageFile
    from imbdense.mm.pseudo_label.round import RoundOptions, RoundResult

RULES = ('fixed', 'class-balanced', 'class-adaptive', 'auto')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to label with what, by which rule."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', type=Path, help='the .pth file')
    parser.add_argument('--images', nargs='+', type=Path, required=True, metavar='PATH',
                        help='folders (searched recursively), image files, or .txt lists with one path per line')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder of the pseudo-labels')
    parser.add_argument('--outputs', type=Path, metavar='DIR', help='folder of the saved predictions (default: '
                        'OUT/outputs); another rule then takes seconds')
    parser.add_argument('--rule', choices=RULES, default='class-adaptive', help='how thresholds are found')
    parser.add_argument('--threshold', type=share, nargs='+', default=[0.9], metavar='P', help='fixed: one, or one per '
                        'class (0.9); others: of classes of which there is nothing to learn one')
    parser.add_argument('--negative', nargs='+', default=['half'], metavar='P', help="lower end of the ignore band: "
                        "numbers, 'half' = half of the threshold, 'none' = no band (half); boxes only")
    parser.add_argument('--portion', type=positive_share, default=0.2, help='class-balanced: share to keep (0.2)')
    parser.add_argument('--alpha-min', type=share, default=0.3, help='class-adaptive: share of the largest class (0.3)')
    parser.add_argument('--min-score', type=share, default=0.05, help='detection: least score of a box that is counted '
                        'or kept (0.05)')
    parser.add_argument('--min-size', type=number(0), default=1.0, help='detection: least side of a box in pixels (1)')
    parser.add_argument('--logit-adjust-tau', type=number(0), default=0.0, metavar='TAU', help='correct the class '
                        'prior of the model before the argmax, with this strength (0; 1 under heavy imbalance)')
    parser.add_argument('--class-counts', metavar='FILE', help='class_counts.json of the training labels, where the '
                        'checkpoint holds none and the training data are not at hand')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes are started')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Label; 0 when all images worked, 1 when some are broken (they are named)."""
    options = round_options(args)
    images = listed_images(args.images, args.out)
    config = load_config(args)
    refuse_points(config, 'pseudo-label')
    with explained(args.config, args.traceback):
        from mmengine.dist import init_dist, is_distributed, is_main_process

        from imbdense.mm.checkpoints import install_safe_loading
        from imbdense.mm.pseudo_label.round import REPORT, PseudoLabelRound

        set_launcher(config, args)
        if config.launcher != 'none' and not is_distributed():
            init_dist(config.launcher)
        install_safe_loading()
        store = args.outputs or args.out / 'outputs'
        work = PseudoLabelRound(config, args.checkpoint, images, args.out, store, options, args.device)
        result = work.run(progress_line)
        if is_main_process():
            show(result)
            print(f'\n{result.report["images"]} images labelled in {args.out}; {args.out / REPORT} holds the numbers')
    return 1 if result.report['broken'] else 0


def round_options(args: argparse.Namespace) -> RoundOptions:
    """The flags as the round takes them.

    Raises:
        UserError: a number that is none.
    """
    from imbdense.mm.pseudo_label.round import RoundOptions

    rule: dict[str, Any] = {'negative': _band(args.negative)}
    fallback = args.threshold[0]
    if args.rule == 'fixed':
        several = len(args.threshold) > 1
        rule |= {'type': 'imbdense.FixedThreshold', 'threshold': args.threshold if several else fallback}
    elif args.rule == 'class-balanced':
        rule |= {'type': 'imbdense.ClassBalancedThreshold', 'start': args.portion, 'end': args.portion}
    else:
        rule |= {'type': 'imbdense.QuantileThreshold', 'keep': args.rule.replace('-', '_')}
        rule |= {'alpha_min': args.alpha_min} if args.rule == 'class-adaptive' else {}
    if args.rule != 'fixed':
        rule |= {'round_steps': None, 'initial': fallback}
    return RoundOptions(rule, args.rule in ('class-adaptive', 'auto'), args.logit_adjust_tau, args.min_score,
                        args.min_size, args.class_counts)


def listed_images(paths: list[Path], out: Path) -> list[ImageFile]:
    """The images of folders, files and lists, with the names of their results; links are named by where they lie.

    Raises:
        UserError: a path does not exist, or there is no image.
    """
    from imbdense.mm.pseudo_label.outputs import ImageFile

    expanded = [line for path in paths for line in (_listed(path) if path.suffix == '.txt' else [path])]
    found = list(find_images(expanded, out))
    if not found:
        raise UserError(f'no image ({", ".join(SUFFIXES)}) in {", ".join(map(str, paths))}.')
    roots = {os.path.abspath(path if path.is_dir() else path.parent) for path in expanded}
    root = os.path.commonpath(roots)
    return [ImageFile(path, os.path.relpath(path, root), str(name)) for path, name in found]


def _listed(path: Path) -> list[Path]:
    """The paths in a list, relative to its folder."""
    if not path.is_file():
        raise UserError(f'there is no list {path}.')
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines()]
    return [path.parent / line for line in lines if line]


def _band(words: list[str]) -> Any:
    """``--negative`` as the rules take it."""
    if words in (['half'], ['none']):
        return 'half' if words == ['half'] else None
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise UserError(f"--negative takes numbers, 'half' or 'none', but got {' '.join(words)}.") from error
    return numbers[0] if len(numbers) == 1 else numbers


def show(result: RoundResult) -> None:
    """The table of filters with the thresholds, what was found out about the set, and the warnings."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    heads, rows = result.table.rows()
    table = Table(box=None, pad_edge=False)
    for head in [*heads, 'threshold']:
        table.add_column(head, justify='left' if head == 'class' else 'right')
    thresholds = ['-' if value is None else f'{value:.3f}' for value in result.thresholds]
    for row, threshold in zip(rows, [*thresholds, '']):
        table.add_row(*row, threshold)
    console.print(f'{result.table.unit} of each class after every filter')
    console.print(table)
    guards = result.report['guards']
    rho = {key: 'unknown' if value is None else f'{value:.3g}' for key, value in guards['rho'].items()}
    relevance = guards['relevance']
    console.print(f'rho: {rho["labelled"]} of the labels, {rho["unlabelled_predicted"]} of the predictions, '
                  f'{rho["unlabelled_kept"]} of what is kept; relevance '
                  f'{"unknown" if relevance is None else f"{relevance:.2f}"}')
    for warning in result.warnings:
        console.print(f'warning: {warning}', style='yellow')
    for path, reason in result.report['broken'].items():
        print(f'skipped {path}: {reason}', file=sys.stderr)
