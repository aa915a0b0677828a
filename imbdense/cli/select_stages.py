"""Train in two stages: on autolabels of all images, then on the images that people have labelled.

  imbdense select stages configs/selection/stage1_autolabel.py configs/selection/stage2_finetune.py --work-dir runs/two

The second stage starts from the last checkpoint of the first. Work dirs are DIR/stage1 and DIR/stage2. A stopped run
goes on with the same command: a finished stage is not repeated (and refused where config, options or seed are others
now), a half-done one resumes. --cfg-options go to both stages. With several processes run the two trainings by
`tools/dist_train.sh`, the second with --cfg-options load_from=CHECKPOINT.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from imbdense.cli._numbers import seed_number
from imbdense.cli._runner import find_config
from imbdense.cli.main import UserError

NOTE = 'stage.json'
STAGES = ('stage1', 'stage2')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two configs, a folder."""
    parser.add_argument('stage1', help='config that trains on the autolabels')
    parser.add_argument('stage2', help='config that trains on human labels')
    parser.add_argument('--work-dir', type=Path, required=True, metavar='DIR', help='folder of both work dirs')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes of both configs')
    parser.add_argument('--seed', type=seed_number, help='random seed of both')


def run(args: argparse.Namespace) -> int:
    """Train what is not finished; the exit code of the stage that did not end well, else 0."""
    configs = [find_config(args.stage1), find_config(args.stage2)]
    start: Path | None = None
    for stage, config in zip(STAGES, configs):
        folder = args.work_dir / stage
        code = 0 if finished(folder, config, args) else train(config, folder, start, args)
        if code:
            print(f'{folder} has not ended (exit code {code}). The same `imbdense select stages` goes on with it, then '
                  f'with what follows.', file=sys.stderr)
            return code
        start = last_checkpoint(folder)
    print(f'both stages are finished; the model is {start}')
    return 0


def settings(config: Path, args: argparse.Namespace) -> dict[str, Any]:
    """What decides a stage."""
    from mmengine.config import Config

    text = Config.fromfile(str(config)).pretty_text
    return {'config': config.name, 'content': hashlib.sha256(text.encode()).hexdigest()[:16],
            'cfg_options': list(args.cfg_options), 'seed': args.seed}


def finished(folder: Path, config: Path, args: argparse.Namespace) -> bool:
    """Whether this stage has ended before.

    Raises:
        UserError: another config has been trained in the folder, or this one has ended with other settings.
    """
    try:
        before = json.loads((folder / NOTE).read_text(encoding='utf-8'))
    except FileNotFoundError:
        return False
    wanted = {**settings(config, args), 'finished': True}
    # A stage that was stopped may go on with other settings, as any training; a finished one is what it is.
    keys = wanted if before['finished'] else ['config']
    other = [f'{key}: {before.get(key)} there, {wanted[key]} now' for key in keys if before.get(key) != wanted[key]]
    if other:
        raise UserError(f'{folder} holds a training of something else ({"; ".join(other)}). Choose another '
                        f'--work-dir, or remove the folder to train it anew.')
    if before['finished']:
        print(f'{folder} is finished')
    return bool(before['finished'])


def train(config: Path, folder: Path, start: Path | None, args: argparse.Namespace) -> int:
    """Train one stage in a process of its own; ``imbdense train --resume`` goes on where it was stopped."""
    from imbdense.utils.files import atomic_write_json

    note = settings(config, args)
    atomic_write_json(folder / NOTE, {**note, 'finished': False})
    options = [*args.cfg_options, *([] if start is None else [f'load_from={start}'])]
    command = [sys.executable, '-m', 'imbdense', 'train', str(config), '--work-dir', str(folder), '--resume']
    command += ['--cfg-options', *options] if options else []
    command += [] if args.seed is None else ['--seed', str(args.seed)]
    # Ctrl-C reaches the training as well: it ends in its own way, and is not killed while it says how to go on.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if code == 0:
        atomic_write_json(folder / NOTE, {**note, 'finished': True})
    return code


def last_checkpoint(folder: Path) -> Path:
    """What the next stage starts from.

    Raises:
        UserError: the training has left none.
    """
    from imbdense.mm.checkpoints import latest_checkpoint

    found = latest_checkpoint(folder)
    if found is None:
        raise UserError(f'the training in {folder} has left no checkpoint; its config needs default_hooks.checkpoint.')
    return Path(found)
