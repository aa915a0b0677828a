"""What ``train``, ``test`` and ``predict`` share: reading the config, the launcher, building the runner."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli.main import UserError
from imbdense.utils.paths import configs_dir

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner
    from torch import nn

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
_HOSTS = {'mmseg': 'onedl-mmsegmentation', 'mmdet': 'onedl-mmdetection'}
_MORE_KEYS = ('work_dir', 'default_scope', 'compile', 'auto_scale_lr', 'find_unused_parameters', 'sync_bn',
              'activation_checkpointing', 'efficient_conv_bn_eval', 'model_wrapper_cfg', 'custom_imports')


def add_config_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """CONFIG, ``--cfg-options`` and ``--traceback``."""
    parser.add_argument('config', nargs=None if required else '?',
                        help='a config of imbdense, mmseg or mmdet (.py); also relative to configs/')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='change settings of the config, for example train_cfg.max_iters=500 model.decode_head.loss_decode.type='
        'imbdense.BalancedSoftmaxLoss; lists as key="[a,b]"',
    )
    parser.add_argument('--traceback', action='store_true', help='show the whole traceback of an error')


def add_checkpoint_argument(parser: argparse.ArgumentParser) -> None:
    """CHECKPOINT, which only a model without weights can do without; see :func:`check_weights`."""
    parser.add_argument('checkpoint', nargs='?', help='the .pth file; left out for a model that has no weights')


def check_checkpoint(checkpoint: str | Path | None) -> None:
    """Raise ``UserError`` at once if a given checkpoint is no whole file of torch; URLs are left to the host."""
    from imbdense.mm.checkpoints import CheckpointError, find_checkpoint

    if checkpoint is not None and '://' not in str(checkpoint):
        try:
            find_checkpoint(checkpoint)
        except CheckpointError as error:
            raise UserError(str(error)) from error


def check_weights(model: nn.Module, checkpoint: str | None) -> None:
    """Raise ``UserError`` when a model has weights but no checkpoint was given, or one whose weights do not fit."""
    from imbdense.mm.checkpoints import CheckpointError, load_checkpoint
    from imbdense.mm.predictor import load_given_weights

    if checkpoint is None:
        if any(True for _ in model.parameters()):
            raise UserError(f'{type(model).__name__} has weights: name the checkpoint (.pth) that they come from.')
    elif Path(checkpoint).is_file():
        try:
            content = load_checkpoint(checkpoint)
            load_given_weights(getattr(model, 'module', model), content.get('state_dict', content), checkpoint)
        except CheckpointError as error:
            raise UserError(str(error)) from error


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """``--work-dir``, ``--launcher`` and the argument old launchers pass."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes are started')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace, *, model: bool = True) -> Config:
    """Read the config, apply ``--cfg-options``, check that its host is installed.

    Args:
        model: whether the verb needs the model of the config.

    Raises:
        UserError: no such file, not a valid config, a key that no runner knows, a host that is missing, or no model.
    """
    from mmengine.config import ConfigDict
    from mmengine.runner import Runner

    path = find_config(args.config)
    config = read_config_file(path, args.traceback)
    if 'imports' in (config.get('custom_imports') or ConfigDict()):
        config.custom_imports.setdefault('allow_failed_imports', False)
    options = parse_options(args.cfg_options)
    known = {*config.keys(), *inspect.signature(Runner.__init__).parameters, *_MORE_KEYS}
    for key in options:
        head = key.split('.', 1)[0]
        if head not in known:
            near = difflib.get_close_matches(head, known, n=3)
            raise UserError(f'--cfg-options {key}: the config has no {head!r}.'
                            + (f' Did you mean {" or ".join(near)}?' if near else ''))
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f'--cfg-options do not fit the config: {error}') from error
    check_host(config, path)
    if model and not config.get('model'):
        raise UserError(f'{path} has no model: it is no config of a training. Its keys: {sorted(config.keys())[:8]}.')
    return config


def read_config_file(path: Path, traceback: bool = False) -> Config:
    """A config file as it is; one that is not valid is named by a ``UserError`` (its own error with ``traceback``)."""
    from mmengine.config import Config

    try:
        return Config.fromfile(str(path))
    except Exception as error:  # a config is a program: anything can be raised
        if traceback:
            raise
        raise UserError(f'{path} is not a valid config (.py, .json, .yaml): {type(error).__name__}: {error}') from error


def find_config(name: str) -> Path:
    """The config file ``name``, as given or relative to the ``configs`` folder of the checkout.

    Raises:
        UserError: there is no such file; the message holds near names.
    """
    folder = configs_dir()
    given = Path(name)
    for candidate in (given, given.with_suffix('.py'), folder / name, folder / f'{name}.py'):
        if candidate.is_file():
            return candidate
    all_names = {file.stem: file for file in sorted(folder.rglob('*.py')) if '_base_' not in file.parts}
    near = difflib.get_close_matches(given.stem, all_names, n=3, cutoff=0.4)
    hint = f' Did you mean {" or ".join(_shown(all_names[stem]) for stem in near)}?' if near else ''
    raise UserError(f'there is no config {name}.{hint}')


def parse_options(pairs: Sequence[str], flag: str = '--cfg-options') -> dict[str, Any]:
    """``['a.b=1']`` -> ``{'a.b': 1}``, values as the hosts read them; ``flag`` is what they were given to."""
    from mmengine.config import DictAction

    for pair in pairs:
        if '=' not in pair:
            raise UserError(f'{flag} takes key=value, but got {pair!r}.')
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction)
    return dict(parser.parse_args(['--options', *pairs]).options) if pairs else {}


def check_host(config: Config, path: Path) -> None:
    """Raise ``UserError`` when the config's default scope is a host that is not installed."""
    scope = config.get('default_scope')
    if scope and importlib.util.find_spec(scope) is None:
        package = _HOSTS.get(scope, scope)
        raise UserError(f'{path} needs {scope}, which is not installed. Run `pip install {package}` (and '
                        f'`imbdense doctor` to see what else is missing).')


def set_work_dir(config: Config, args: argparse.Namespace) -> Path:
    """Decide the work dir (flag, then config, then name of the config), make it, and see that it can be written."""
    config.work_dir = args.work_dir or config.get('work_dir') or str(Path('work_dirs') / find_config(args.config).stem)
    return make_folder(config.work_dir, 'the work dir', '--work-dir')


def make_folder(path: str | Path, what: str, option: str) -> Path:
    """Make a folder and see that it can be written; else ``UserError`` that names the option."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f'.write-test-{os.getpid()}'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f'cannot write to {what} {folder}: {error.strerror}. Choose another with {option}, or change '
                        f'its owner or mode.') from error
    return folder


def set_launcher(config: Config, args: argparse.Namespace) -> None:
    """Join the other processes. On CPU this uses gloo, which the host's launcher cannot."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    launcher = args.launcher
    if launcher == 'none' and int(os.environ.get('WORLD_SIZE', '1')) > 1:
        launcher = 'pytorch'  # started by torchrun: otherwise every process would train its own model
    config.launcher = launcher
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise UserError('--launcher pytorch is for processes started by torchrun: use '
                        f'`bash tools/dist_train.sh {args.config} NUMBER_OF_PROCESSES`, or leave --launcher out.')
    import torch
    from mmengine.dist import is_distributed

    if launcher == 'pytorch' and not torch.cuda.is_available() and not is_distributed():
        torch.distributed.init_process_group('gloo')


def build_runner(config: Config) -> Runner:
    """The runner the config asks for (``runner_type``), else :class:`imbdense.mm.runner.SafeRunner`."""
    from mmengine.registry import RUNNERS, init_default_scope

    from imbdense.mm.checkpoints import install_safe_loading
    from imbdense.mm.runner import SafeRunner

    install_safe_loading()
    init_default_scope(config.get('default_scope') or 'mmengine')
    return RUNNERS.build(config) if 'runner_type' in config else SafeRunner.from_cfg(config)


def _shown(path: Path) -> str:
    """``path`` relative to the current folder where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
