"""Divide each vector of the classifier by its length to the power tau: the lengths follow the class counts.

  imbdense convert tau-norm CONFIG CHECKPOINT --tau 0.7 --out normed.pth
  imbdense convert tau-norm CONFIG CHECKPOINT --search --out normed.pth     tries tau 0 to 2 on the validation set
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from imbdense.cli._explain import explained
from imbdense.cli._runner import add_config_arguments, build_runner, load_config
from imbdense.cli.main import UserError

GRID = tuple(round(0.1 * step, 1) for step in range(21))
CLASSIFIERS = ('decode_head.conv_seg', 'roi_head.bbox_head.fc_cls')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the conversion."""
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='the .pth file')
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument('--tau', type=float, help='strength in [0, 4]; 0 changes nothing but the bias')
    choice.add_argument('--search', action='store_true', help='take the best of the validation set')
    parser.add_argument('--values', type=float, nargs='+', default=list(GRID), metavar='TAU', help='taus to try')
    parser.add_argument('--metric', default='mRecall', help='result of the validation that decides (mRecall)')
    parser.add_argument('--classifier', help='name of the last layer (default: decode_head.conv_seg or '
                        'roi_head.bbox_head.fc_cls)')
    parser.add_argument('--keep-bias', action='store_true', help='the published script drops the bias')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.pth', help='the new checkpoint')


def run(args: argparse.Namespace) -> int:
    """Find tau if asked, write the checkpoint."""
    import torch

    from imbdense.mm.checkpoints import load_checkpoint
    from imbdense.utils.files import atomic_open

    with explained(args.config, args.traceback):
        content = load_checkpoint(args.checkpoint)
        state = content.get('state_dict', content)
        name = classifier_name(state, args.classifier)
        tau = search(args, state, name) if args.search else args.tau
        state.update(normalized(state, name, tau, args.keep_bias))
        with atomic_open(args.out) as handle:
            torch.save(content, handle)
        print(f'{name} with tau = {tau}: {args.out}')
    return 0


def classifier_name(state: dict[str, Any], wanted: str | None) -> str:
    """The layer to normalise.

    Raises:
        UserError: the checkpoint has no such layer.
    """
    for name in CLASSIFIERS if wanted is None else (wanted,):
        if f'{name}.weight' in state:
            return name
    layers = sorted(key.removesuffix('.weight') for key in state if key.endswith('.weight') and 'head' in key)[-8:]
    raise UserError(f'the checkpoint has no classifier {wanted or " or ".join(CLASSIFIERS)}; name it with '
                    f'--classifier, for example {", ".join(layers)}.')


def normalized(state: dict[str, Any], name: str, tau: float, keep_bias: bool) -> dict[str, Any]:
    """The tensors of the tau-normalised classifier.

    In a box head the last row is the background: it keeps its vector and its bias, as the method speaks of classes.
    """
    from imbdense.core.representation import tau_normalize

    weight, bias = state[f'{name}.weight'], state.get(f'{name}.bias')
    classes = len(weight) - name.endswith('fc_cls')
    new_weight, new_bias = weight.clone(), None if bias is None else bias.clone()
    rows, values = tau_normalize(weight[:classes], None if bias is None else bias[:classes], tau=tau,
                                 keep_bias=keep_bias)
    new_weight[:classes] = rows
    if new_bias is not None and values is not None:
        new_bias[:classes] = values
    return {f'{name}.weight': new_weight, **({} if new_bias is None else {f'{name}.bias': new_bias})}


def search(args: argparse.Namespace, state: dict[str, Any], name: str) -> float:
    """The tau with the best ``--metric`` on the validation set; the smaller one of equals."""
    import tempfile

    config = load_config(args)
    if config.get('val_dataloader') is None:
        raise UserError(f'{args.config} has no val_dataloader to search on; give --tau.')
    best: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory(prefix='imbdense-tau-') as folder:
        config.work_dir, config.load_from, config.resume = folder, args.checkpoint, False
        # As a test of the validation set: hooks that keep the best checkpoint of a training stay out of it.
        config.test_dataloader, config.test_evaluator = config.val_dataloader, config.val_evaluator
        config.test_cfg = {'type': 'TestLoop'}
        runner = build_runner(config)
        runner.test()
        layer = runner.model.get_submodule(name)
        for tau in args.values:
            parts = normalized(state, name, tau, args.keep_bias)
            layer.load_state_dict({key.rsplit('.', 1)[1]: value for key, value in parts.items()})
            score = runner.test().get(args.metric)
            if score is None or not math.isfinite(score):
                raise UserError(f'the validation gives no {args.metric}; choose another with --metric.')
            print(f'tau {tau:.1f}: {args.metric} {score:.4f}', flush=True)
            if best is None or score > best[1]:
                best = (tau, float(score))
    if best is None:
        raise UserError('--values is empty; give at least one tau.')
    return best[0]
