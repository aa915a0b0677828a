"""Evaluate a checkpoint on the test set of its config.

  imbdense test CONFIG work_dirs/NAME/iter_400.pth
  imbdense test CONFIG CHECKPOINT --out scores.json
  imbdense test CONFIG                    (a model without weights, such as imbdense.M3C2ChangeClassifier)
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from imbdense.cli._explain import explained
from imbdense.cli._runner import (
    add_checkpoint_argument,
    add_config_arguments,
    add_runner_arguments,
    build_runner,
    check_checkpoint,
    check_weights,
    load_config,
    set_launcher,
    set_work_dir,
)
from imbdense.cli.main import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the hosts' tools/test.py that concern an evaluation."""
    add_config_arguments(parser)
    add_checkpoint_argument(parser)
    add_runner_arguments(parser)
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write the scores to this file')


def run(args: argparse.Namespace) -> int:
    """Evaluate, log the scores, write them to ``--out``."""
    if args.out is not None and args.out.suffix != '.json':
        raise UserError(f'--out takes a .json file, but got {args.out}.')
    config = load_config(args)
    if config.get('test_dataloader') is None or config.get('test_evaluator') is None:
        raise UserError(f'{args.config} has no test_dataloader and test_evaluator; to evaluate on the validation set '
                        f'write test_dataloader = val_dataloader, test_evaluator = val_evaluator and '
                        f"test_cfg = dict(type='TestLoop').")
    check_checkpoint(args.checkpoint)
    set_work_dir(config, args)
    set_launcher(config, args)
    config.load_from, config.resume = args.checkpoint, False
    with explained(args.config, args.traceback):
        runner = build_runner(config)
        check_weights(runner.model, args.checkpoint)
        scores = runner.test()
        if args.out is not None:
            _write_scores(args.out, args.checkpoint, scores)
    return 0


def _write_scores(path: Path, checkpoint: str | None, scores: dict[str, Any]) -> None:
    """``{checkpoint, scores}`` as JSON, undefined values as null; rank 0 only."""
    from mmengine.dist import is_main_process

    from imbdense.utils.files import atomic_write_json

    if not is_main_process():
        return
    numbers = {key: float(value) for key, value in scores.items() if hasattr(value, '__float__')}
    atomic_write_json(path, {
        'checkpoint': checkpoint, 'scores': {k: v if math.isfinite(v) else None for k, v in numbers.items()}
    })
    print(f'scores written to {path}')
