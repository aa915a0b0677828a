"""Load weights of other projects: names mapped, every tensor accounted for, and an error when they do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.mm.checkpoints import CheckpointError, load_checkpoint, load_from_http
from imbdense.mm.vmamba_keys import KEY_MAPS

CONTAINERS = ('state_dict', 'model', 'teacher')
LEAST_SHARE = 0.9
SHOWN = 5


@dataclass
class LoadReport:
    """What became of every tensor.

    Attributes:
        matched: tensors of the model that were filled.
        missing: tensors of the model without a counterpart (they keep their initial values).
        unexpected: tensors of the file without a counterpart.
        misshaped: 'name (file) instead of (model)' of counterparts of another shape.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshaped: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Filled tensors / tensors of the model."""
        total = len(self.matched) + len(self.missing) + len(self.misshaped)
        return len(self.matched) / max(total, 1)

    def __str__(self) -> str:
        lines = [f'{len(self.matched)} tensors matched ({self.share:.0%} of the model)']
        for name in ('missing', 'unexpected', 'misshaped'):
            found = getattr(self, name)
            if found:
                lines.append(f'{len(found)} {name}: {_listed(found)}')
        return '; '.join(lines)


def read_weights(checkpoint: str, prefix: str = '', key_map: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint (file or URL) under our names.

    Args:
        checkpoint: read without running code in it, see :mod:`imbdense.mm.checkpoints`.
        prefix: of the names to take, cut off; ``''`` = all.
        key_map: one of :data:`imbdense.mm.vmamba_keys.KEY_MAPS`, or ``None`` when the names are ours.

    Raises:
        CheckpointError: see :func:`imbdense.mm.checkpoints.load_checkpoint`; or nothing begins with ``prefix``.
    """
    if key_map is not None:
        check_choice('key_map', key_map, KEY_MAPS, owner='init_cfg')
    remote = checkpoint.startswith(('http://', 'https://'))
    content = load_from_http(checkpoint, 'cpu') if remote else load_checkpoint(checkpoint)
    state: Mapping[str, object] = content
    for container in CONTAINERS:  # some files hold one inside the other
        inner = state.get(container)
        state = inner if isinstance(inner, Mapping) else state
    tensors = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix) and isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(f'{checkpoint} has no tensor whose name begins with {prefix!r}; it has {list(state)[:3]}')
    return tensors if key_map is None else KEY_MAPS[key_map](tensors)


def fill_module(
    module: nn.Module, weights: Mapping[str, Tensor], source: str, least_share: float = LEAST_SHARE
) -> LoadReport:
    """Copy ``weights`` into ``module``, log the report and return it.

    A tensor of the same number of elements whose shape differs by axes of size one only is reshaped (a linear layer
    stored as a 1 x 1 convolution). Buffers that count batches are no part of the account.

    Raises:
        CheckpointError: fewer than ``least_share`` of the module's tensors were filled; nothing is copied then.
    """
    report, found = _match(module, weights)
    if report.share < least_share:
        raise CheckpointError(
            f'{source} does not fit {type(module).__name__}: {report}. At least {least_share:.0%} must match, or '
            f'training would silently start from scratch. See that arch, prefix and key_map are those of the file.'
        )
    return _copy(module, found, report, source)


def fill_whole(
    module: nn.Module, weights: Mapping[str, Tensor], source: str, *, unused: Sequence[str] = (),
    may_miss: Sequence[str] = (),
) -> LoadReport:
    """As :func:`fill_module`, but every tensor must have its counterpart, on both sides.

    Args:
        unused: prefixes of names that ``module`` has no use for (a classifier, a decoder).
        may_miss: prefixes of parameters that may keep their initial values.

    Raises:
        CheckpointError: the file lacks parameters, holds unknown ones, or shapes differ; nothing is copied then.
    """
    report, found = _match(module, weights)
    lacking = [name for name in report.missing if not name.startswith(tuple(may_miss))]
    unknown = [name for name in report.unexpected if not name.startswith(tuple(unused))]
    if lacking or unknown or report.misshaped:
        raise CheckpointError(
            f'{source} does not fit {type(module).__name__}.\n'
            f'  not in the file: {_listed(lacking)}\n'
            f'  unknown names in the file: {_listed(unknown)}\n'
            f'  other shapes: {_listed(report.misshaped)}\n'
            f'Check dim, depth and the patch size.'
        )
    return _copy(module, found, report, source)


def _match(module: nn.Module, weights: Mapping[str, Tensor]) -> tuple[LoadReport, dict[str, Tensor]]:
    """What fits what, and the tensors to copy."""
    own = {k: v for k, v in module.state_dict().items() if not k.endswith('num_batches_tracked')}
    report, found = LoadReport(), {}
    for name, target in own.items():
        value = weights.get(name)
        if value is None:
            report.missing.append(name)
        elif _squeezed(value.shape) != _squeezed(target.shape):
            report.misshaped.append(f'{name} {tuple(value.shape)} instead of {tuple(target.shape)}')
        else:
            report.matched.append(name)
            found[name] = value.reshape(target.shape)
    report.unexpected = [k for k in weights if k not in own and not k.endswith('num_batches_tracked')]
    return report, found


@torch.no_grad()
def _copy(module: nn.Module, found: Mapping[str, Tensor], report: LoadReport, source: str) -> LoadReport:
    """Fill the module and log the report."""
    own = module.state_dict()
    for name, value in found.items():
        own[name].copy_(value)
    print_log(f'{type(module).__name__} from {source}: {report}', logger='current')
    return report


def _listed(names: Sequence[str]) -> str:
    """The first names, or 'none'."""
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more if names else 'none'


def _squeezed(shape: torch.Size) -> tuple[int, ...]:
    """The sizes above one."""
    return tuple(size for size in shape if size != 1)
