"""``imbdense.SSPLoadHook``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.mm.checkpoints import CheckpointError, load_checkpoint
from imbdense.mm.freezing import unwrapped
from imbdense.registry import HOOKS

OWNER = 'SSPLoadHook'
SHOWN = 8
"""Names of each kind that a message lists."""


@dataclass
class KeyMatch:
    """The tensors of a module against those of a file: in both with one shape, and what is not."""

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Matched share of the tensors of the module."""
        total = len(self.matched) + len(self.missing) + len(self.misshapen)
        return len(self.matched) / total if total else 0.0

    def describe(self) -> str:
        """One line per kind that is there."""
        kinds = (
            ('missing in the file', self.missing), ('of another shape', self.misshapen),
            ('unexpected in the file', self.unexpected),
        )  # fmt: skip
        return ''.join(f'\n  {len(names)} {what}: {_shown(names)}' for what, names in kinds if names)


@HOOKS.register_module()
class SSPLoadHook(Hook):
    """Make sure that a pre-trained backbone really arrives in the model that is trained.

    The host loads ``init_cfg=dict(type='Pretrained', ...)`` without asking whether it fits: of a wrong prefix or
    another width it only logs a line, and training starts from scratch. This hook leaves loading to the host and

    * before the weights are initialised compares the tensors of the module with those of the file, by name and shape:
      logs what is missing, of another shape or unexpected, and raises when fewer than ``min_matched`` fit;
    * before the first iteration compares the *values*, and raises when fewer than ``min_matched`` are those of the
      file: something initialised the module again.

    Values are not compared in runs that resume or have ``load_from``, which replace them on purpose. Nothing happens in
    test runs. Counters of batch norm do not count. Every rank reads the file.

    Args:
        module: name of the module with the ``init_cfg``: 'backbone', or 'student.backbone' of a teacher-student model.
        min_matched: smallest share of the tensors of the module, in (0, 1].

    Raises:
        CheckpointError: the file is missing, damaged, holds nothing under the prefix, or too little of it fits.
        ValueError: there is no such module, or it has no ``init_cfg`` of type 'Pretrained'.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __init__(self, module: str = 'backbone', min_matched: float = 0.95) -> None:
        self.module = module
        self.min_matched = check_number('min_matched', min_matched, low=0.0, high=1.0, low_open=True, owner=OWNER)
        self._expected: dict[str, Tensor] = {}
        self._checkpoint = ''

    def before_run(self, runner: Any) -> None:
        """Compare names and shapes."""
        if isinstance(runner.optim_wrapper, dict) or runner.optim_wrapper is None:
            return  # a test run
        target = self._target(runner)
        config = pretrained_config(target, self.module)
        self._checkpoint, prefix = str(config['checkpoint']), config.get('prefix')
        given = read_weights(self._checkpoint, prefix)
        match = match_tensors(_compared(target), given)
        number = len(_compared(target))
        facts = (
            f'{OWNER}: {len(match.matched)} of {number} tensors of {self.module} ({match.share:.1%}) are in '
            f'{self._checkpoint}, prefix {prefix!r}.{match.describe()}'
        )
        if match.share < self.min_matched:
            raise CheckpointError(
                f'{facts}\nAt least {self.min_matched:.0%} are needed. The backbone of the config must be built like '
                f'the pre-trained one; or is it the prefix?'
            )
        MMLogger.get_current_instance().info(facts)
        self._expected = {name: given[name] for name in match.matched}

    def before_train(self, runner: Any) -> None:
        """Compare the values, unless a whole model was loaded."""
        expected, self._expected = self._expected, {}
        if runner._has_loaded:
            return
        own = _compared(self._target(runner))
        changed = [name for name, value in expected.items() if not _equal(own[name], value)]
        arrived = len(expected) - len(changed)
        if arrived < self.min_matched * len(own):
            raise CheckpointError(
                f'{OWNER}: only {arrived} of {len(own)} tensors of {self.module} have the values of {self._checkpoint} '
                f'after initialisation; at least {self.min_matched:.0%} are needed. Others: {_shown(changed)}. '
                f'Something initialised the module again, or its init_weights does not load.'
            )

    def _target(self, runner: Any) -> nn.Module:
        """The module, or an error that lists what there is."""
        model = unwrapped(runner.model)
        modules = dict(model.named_modules())
        if self.module not in modules:
            raise ValueError(
                f'{OWNER}: {type(model).__name__} has no module {self.module!r}; it has '
                f'{[name for name, _ in model.named_children()]}.'
            )
        return modules[self.module]


def pretrained_config(module: nn.Module, name: str) -> Mapping[str, Any]:
    """The ``init_cfg`` of type 'Pretrained' of a module of the host.

    Raises:
        ValueError: there is none.
    """
    given = getattr(module, 'init_cfg', None)
    for config in [given] if isinstance(given, Mapping) else given or []:
        if config.get('type') == 'Pretrained' and config.get('checkpoint'):
            return config
    raise ValueError(
        f"{OWNER}: {name} loads nothing, its init_cfg is {given!r}. Set {name}.init_cfg=dict(type='Pretrained', "
        f"checkpoint='...', prefix='backbone.')."
    )


def read_weights(checkpoint: str, prefix: str | None) -> dict[str, Tensor]:
    """The tensors of a file whose names begin with ``prefix``, without it; all of them for ``None``.

    Raises:
        CheckpointError: the file is missing or damaged, or holds no such tensor.
    """
    load = CheckpointLoader.load_checkpoint if '://' in checkpoint else load_checkpoint
    content = load(checkpoint, 'cpu')
    weights = {key: value for key, value in content.get('state_dict', content).items() if isinstance(value, Tensor)}
    if prefix is None:
        return weights
    start = prefix if prefix.endswith('.') else f'{prefix}.'
    found = {key[len(start) :]: value for key, value in weights.items() if key.startswith(start)}
    if not found:
        there = sorted({f'{key.split(".")[0]}.' for key in weights})
        raise CheckpointError(
            f'{OWNER}: no tensor of {checkpoint} has a name that begins with {start!r}; they begin with '
            f'{_shown(there) or "nothing, there are none"}. Set prefix of the init_cfg to the one of the backbone.'
        )
    return found


def match_tensors(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> KeyMatch:
    """Compare by name and shape; counters of batch norm in ``given`` are not unexpected."""
    match = KeyMatch()
    for name, value in own.items():
        if name not in given:
            match.missing.append(name)
        elif given[name].shape == value.shape:
            match.matched.append(name)
        else:
            match.misshapen.append(f'{name} {tuple(given[name].shape)} for {tuple(value.shape)}')
    match.unexpected += [name for name in given if name not in own and not _is_counter(name)]
    return match


def _compared(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module that count."""
    return {name: value for name, value in module.state_dict().items() if not _is_counter(name)}


def _is_counter(name: str) -> bool:
    """The host ignores them too."""
    return name.endswith('num_batches_tracked')


def _equal(own: Tensor, given: Tensor) -> bool:
    """Same values in the dtype of the model."""
    return torch.equal(own.detach().cpu(), given.to(own.dtype))


def _shown(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more
