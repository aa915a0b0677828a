"""Train a model from a config of imbdense, mmseg or mmdet.

  imbdense train configs/segmentation/unet_scenes_balanced.py
  imbdense train CONFIG --resume                     go on from the last checkpoint of the work dir
  bash tools/dist_train.sh CONFIG 4                  four processes of one machine
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from imbdense.cli._explain import explained
from imbdense.cli._numbers import seed_number
from imbdense.cli._runner import (
    add_config_arguments,
    add_runner_arguments,
    build_runner,
    check_checkpoint,
    load_config,
    set_launcher,
    set_work_dir,
)
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the hosts' tools/train.py, and ``--seed``."""
    add_config_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from CHECKPOINT; without a value from the last one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision: float16 on a GPU, bfloat16 on a CPU')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help="scale the learning rate from the config's base batch size to the real one")
    parser.add_argument('--seed', type=seed_number, help='random seed (default: the config, else a new one)')


def run(args: argparse.Namespace) -> int:
    """Train; 0 when it reached the end, 130 when it was interrupted."""
    config = load_config(args)
    _check_length(config)
    if args.resume not in (None, 'auto'):
        check_checkpoint(args.resume)
    work_dir = set_work_dir(config, args)
    set_launcher(config, args)
    _set_resume(config, args.resume, work_dir)
    _set_seed(config, args.seed)
    if args.amp:
        _set_amp(config)
    if args.auto_scale_lr:
        _set_auto_scale_lr(config)
    try:
        with explained(args.config, args.traceback):
            build_runner(config).train()
    except KeyboardInterrupt:
        print(f'\nstopped. {_how_to_resume(args, work_dir)}')
        return 130
    return 0


def _check_length(config: Config) -> None:
    """A training of no step would end at once, with success."""
    for name in ('max_iters', 'max_epochs'):
        value = (config.get('train_cfg') or {}).get(name)
        if isinstance(value, (int, float)) and value < 1:
            raise UserError(f'train_cfg.{name} must be at least 1, but is {value}: nothing would be trained.')


def _set_resume(config: Config, resume: str | None, work_dir: Path) -> None:
    """Turn ``--resume`` into the host's ``resume`` and ``load_from``."""
    from imbdense.mm.checkpoints import latest_checkpoint

    config.resume = bool(resume or config.get('resume'))
    if not config.resume:
        return
    if resume and resume != 'auto':
        config.load_from = resume
    elif resume or not config.get('load_from'):
        checkpoint = latest_checkpoint(work_dir)
        if checkpoint is None:
            print(f'--resume: there is no checkpoint in {work_dir} yet; training starts at the beginning.')
            config.resume = False
        else:
            config.load_from = str(checkpoint)


def _set_seed(config: Config, seed: int | None) -> None:
    """Fix the seed before anything is drawn; a resumed run takes it from its checkpoint.

    The host reads the seed of the checkpoint only after the sampler was built with another one.
    """
    from mmengine.dist import sync_random_seed

    from imbdense.mm.checkpoints import CheckpointError, load_checkpoint

    randomness = dict(config.get('randomness') or {})
    if seed is not None:
        randomness['seed'] = seed
    if randomness.get('seed') is None and config.resume:
        try:
            randomness['seed'] = load_checkpoint(config.load_from).get('meta', {}).get('seed')
        except CheckpointError as error:
            raise UserError(str(error)) from error
    if randomness.get('seed') is None:
        randomness['seed'] = int(sync_random_seed())
    config.randomness = randomness
    config.randomness = randomness


def _set_amp(config: Config) -> None:
    """Choose the optimiser wrapper of mixed precision for this machine."""
    import torch

    kind = config.optim_wrapper.get('type', 'OptimWrapper')
    if kind == 'AmpOptimWrapper' and torch.cuda.is_available():
        return
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp can replace OptimWrapper, but the config has optim_wrapper.type={kind!r}. Leave --amp '
                        f'out, or set the wrapper in the config.')
    if torch.cuda.is_available():
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.loss_scale = 'dynamic'
    else:
        print('--amp without a GPU: bfloat16 autocast on the CPU (rarely faster there).')
        config.optim_wrapper.type = 'imbdense.CpuAutocastOptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            config.optim_wrapper.pop(key, None)


def _set_auto_scale_lr(config: Config) -> None:
    """Switch on the host's linear scaling rule."""
    if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: the batch size '
                        'its learning rate was chosen for.')
    config.auto_scale_lr.enable = True


def _how_to_resume(args: argparse.Namespace, work_dir: Path) -> str:
    """The command that goes on from where training stopped."""
    from imbdense.mm.checkpoints import latest_checkpoint

    checkpoint = latest_checkpoint(work_dir)
    if checkpoint is None:
        return 'There is no checkpoint yet.'
    options = ' '.join(shlex.quote(option) for option in args.cfg_options)
    return (f'Last checkpoint: {checkpoint}. Go on with:\n  imbdense train {shlex.quote(args.config)} --work-dir '
            f'{shlex.quote(str(work_dir))} --resume' + (f' --cfg-options {options}' if options else ''))
