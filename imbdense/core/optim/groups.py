"""Parameter groups of MuonAdamW: which tensors may be Muon's, and whether the options make sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.optim.newton_schulz import SCALES, normalise_ns_dtype
from imbdense.core.optim.sharding import refuse_shards

CONV_SCALES = ('flattened', 'reference')
AUXILIARIES = ('adamw', 'sgd')
OWNER = 'MuonAdamW'


def is_matrix(param: Tensor) -> bool:
    """Whether Muon can update it: real, not empty, two dimensions or more."""
    return param.ndim >= 2 and param.is_floating_point() and param.numel() > 0


def complete_groups(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The group with ``use_muon``, its ``lr`` and ``muon_blocks`` filled in, checked.

    A group that does not say ``use_muon`` becomes up to two: its matrices, then the rest.

    Raises:
        TypeError / ValueError: see :class:`~imbdense.core.optim.muon.MuonAdamW`.
    """
    params = [group['params']] if isinstance(group['params'], Tensor) else list(group['params'])
    for param in params:
        refuse_shards(tensor_of(param))
    if group.get('use_muon') is not None:
        return [_complete({**group, 'params': params}, defaults)]
    parts = {
        matrices: [param for param in params if is_matrix(tensor_of(param)) is matrices] for matrices in (True, False)
    }
    return [
        _complete({**group, 'params': part, 'use_muon': matrices}, defaults) for matrices, part in parts.items() if part
    ]


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` or ``ValueError`` for an option that is out of range."""
    check_number('lr', options['lr'], low=0.0, owner=OWNER)
    check_number('weight_decay', options['weight_decay'], low=0.0, owner=OWNER)
    check_number('eps', options['eps'], low=0.0, owner=OWNER)
    if options['muon_lr'] is not None:
        check_number('muon_lr', options['muon_lr'], low=0.0, low_open=True, owner=OWNER)
    if len(options['betas']) != 2:
        raise ValueError(f'{OWNER}: betas must be two numbers, but got {options["betas"]!r}.')
    fractions = {'betas[0]': options['betas'][0], 'betas[1]': options['betas'][1]}
    for name in ('muon_momentum', 'aux_momentum'):
        fractions[name] = options[name]
    for name, value in fractions.items():
        if check_number(name, value, low=0.0, high=1.0, owner=OWNER) == 1.0:
            raise ValueError(f'{OWNER}: {name} must be below 1, or nothing new is ever learned.')
    check_integer('ns_steps', options['ns_steps'], low=1, owner=OWNER)
    check_choice('scale', options['scale'], SCALES, owner=OWNER)
    check_choice('conv_scale', options['conv_scale'], CONV_SCALES, owner=OWNER)
    check_choice('aux', options['aux'], AUXILIARIES, owner=OWNER)


def tensor_of(param: Tensor | tuple[str, Tensor]) -> Tensor:
    """The parameter of an entry of ``named_parameters()`` or of ``parameters()``."""
    return param[1] if isinstance(param, tuple) else param


def _complete(group: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in and check one group."""
    if not isinstance(group['use_muon'], bool):
        raise TypeError(f'{OWNER}: use_muon of a group must be True or False, but got {group["use_muon"]!r}.')
    if group['use_muon'] and defaults['muon_lr'] is not None:
        group.setdefault('lr', defaults['muon_lr'])
    group['ns_dtype'] = normalise_ns_dtype(group.get('ns_dtype', defaults['ns_dtype']))
    blocks = check_integer('blocks', group.get('blocks', 1), low=1, owner=OWNER)
    chosen = group.get('muon_blocks')
    group['muon_blocks'] = tuple(range(blocks)) if chosen is None else tuple(sorted(set(chosen)))
    check_options({**defaults, **group})
    for param in group['params'] if group['use_muon'] else ():
        _check_matrix(tensor_of(param), blocks, group['muon_blocks'])
    return group


def _check_matrix(param: Tensor, blocks: int, chosen: tuple[int, ...]) -> None:
    """Raise ``ValueError`` for what cannot be a parameter of a Muon group."""
    shape = tuple(param.shape)
    if not is_matrix(param):
        kind = 'complex ' if torch.is_complex(param) else ''
        raise ValueError(
            f'{OWNER}: a Muon group needs real matrices (two dimensions or more), but holds a {kind}parameter of shape '
            f'{shape} and dtype {param.dtype}. Put it into a group with use_muon=False.'
        )
    if shape[0] % blocks:
        raise ValueError(f'{OWNER}: blocks={blocks} does not divide the {shape[0]} rows of a parameter of {shape}.')
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < blocks:
        raise ValueError(f'{OWNER}: muon_blocks must be some of the block indices 0..{blocks - 1}, but got {chosen}.')
