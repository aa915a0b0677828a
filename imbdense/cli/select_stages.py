"""Train in two stages: on autolabels of all images, then on the images that people have labelled.

  imbdense select stages configs/selection/stage1_autolabel.py configs/selection/stage2_finetune.py --work-dir runs/two

The second stage starts from the last checkpoint of the first. Work dirs are DIR/stage1 and DIR/stage2. A stopped run
goes on with the same command: a finished stage is not repeated, a half-done one resumes. --cfg-options go to both
stages. With several processes run the two trainings by `tools/dist_train.sh`, the second with
--cfg-options load_from=CHECKPOINT.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from imbdense.cli._numbers import seed_number
from imbdense.cli._runner import find_config
from imbdense.cli.main import UserError

FINISHED = 'finished.txt'
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
        code = 0 if finished(folder, config) else train(config, folder, start, args)
        if code:
            return code
        start = last_checkpoint(folder)
    print(f'both stages are finished; the model is {start}')
    return 0


def finished(folder: Path, config: Path) -> bool:
    """Whether this stage has ended before.

    Raises:
        UserError: another config has been trained in the folder.
    """
    note = folder / FINISHED
    if not note.is_file():
        return False
    before = note.read_text(encoding='utf-8').strip()
    if before != config.name:
        raise UserError(f'{folder} holds the finished training of {before}, not of {config.name}. Choose another '
                        f'--work-dir.')
    print(f'{folder} is finished')
    return True


def train(config: Path, folder: Path, start: Path | None, args: argparse.Namespace) -> int:
    """Train one stage in a process of its own; ``imbdense train --resume`` goes on where it was stopped."""
    from imbdense.utils.files import atomic_write_text

    options = [*args.cfg_options, *([] if start is None else [f'load_from={start}'])]
    command = [sys.executable, '-m', 'imbdense', 'train', str(config), '--work-dir', str(folder), '--resume']
    command += ['--cfg-options', *options] if options else []
    command += [] if args.seed is None else ['--seed', str(args.seed)]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        atomic_write_text(folder / FINISHED, f'{config.name}\n')
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
