"""``imbdense.MuonOptimWrapperConstructor``."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import fields
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from imbdense.core import optim
from imbdense.core.checks import check_choice, check_integer
from imbdense.mm.optim.marked_constructor import MARK
from imbdense.mm.optim.muon_layers import QKV
from imbdense.mm.optim.muon_split import Placement, SplitRules, split_parameters, split_table
from imbdense.registry import OPTIM_WRAPPER_CONSTRUCTORS

HOST_KEYS = (
    'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult',
    'dcn_offset_lr_mult', 'bypass_duplicate',
)  # fmt: skip
OWN_KEYS = tuple(item.name for item in fields(SplitRules))
NAME = 'MuonOptimWrapperConstructor'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MuonOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Give the hidden matrices of a model to Muon and everything else to AdamW, in one ``imbdense.MuonAdamW``.

    The rules of the split are those of :func:`imbdense.mm.optim.muon_split.split_parameters`; the result is logged as a
    table. Parameters of equal options share one group (the host makes one group each, which slows the schedulers).
    Shared parameters are taken once, frozen ones not at all. Those whose modules marked them so (the scan of
    ``VSSM``) have no weight decay.

    All keys of the host's ``paramwise_cfg`` act on both parts: ``lr_mult`` multiplies ``muon_lr`` for Muon's matrices
    and ``lr`` for the others. ``custom_keys`` also takes ``use_muon=True`` or ``False``. Further keys:

    * ``min_dim`` (8): smallest side of a flattened matrix, or of its blocks.
    * ``head_keys`` (:data:`~imbdense.mm.optim.muon_layers.HEAD_KEYS`): names that mark classifiers.
    * ``include_head`` (False): classifiers to Muon as well; ``rank_guard`` (True): then without the noise of
      low-rank gradients, see :func:`imbdense.core.optim.orthogonalize_guarded`.
    * ``grouped`` ('adamw' or 'per_group'): grouped convolutions to AdamW, or each group as a matrix of its own
      (depth-wise ones stay with AdamW: one row is below ``min_dim``).
    * ``fused_qkv`` (True): orthogonalise q, k and v of a fused projection each by itself.
    * ``muon_parts`` (('q', 'k', 'v')): which of the three are Muon's; ('v',) leaves q and k to AdamW, also where they
      are layers of their own.

    Args:
        optim_wrapper_cfg: config of the wrapper with ``optimizer=dict(type='imbdense.MuonAdamW', ...)``.
        paramwise_cfg: see above.

    Raises:
        ValueError: another optimizer; an unknown or wrong key (the host ignores those); no parameter is left for Muon;
            ``use_muon=True`` for a vector. TypeError: sharded parameters (DTensor, FSDP).
    """

    card = 'muon'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        config = dict(optim_wrapper_cfg)
        optimizer = dict(config.get('optimizer') or {})
        if optimizer.get('type') not in ('imbdense.MuonAdamW', 'MuonAdamW', optim.MuonAdamW):
            raise ValueError(
                f"{NAME}: optimizer must be dict(type='imbdense.MuonAdamW', ...), but its type is "
                f'{optimizer.get("type")!r}. For other optimizers leave the constructor out.'
            )
        for name in ('lr', 'weight_decay'):  # the host multiplies these
            optimizer.setdefault(name, inspect.signature(optim.MuonAdamW).parameters[name].default)
        options = dict(paramwise_cfg or {})
        self.rules = _rules(options)
        super().__init__({**config, 'optimizer': optimizer}, options)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer and its wrapper for ``model`` (bare or wrapped)."""
        model = getattr(model, 'module', model)
        single: list[dict[str, Any]] = []
        self.add_params(single, model)
        groups = {id(group['params'][0]): group for group in reversed(single)}
        names = {id(param): name for name, param in model.named_parameters()}
        forced = {names[key]: group['use_muon'] for key, group in groups.items() if 'use_muon' in group}
        placements = split_parameters(model, self.rules, forced)
        if not any(placed.use_muon for placed in placements):
            raise ValueError(
                f'{NAME}: no parameter of the model goes to Muon.\n{split_table(placements)}\nTake AdamW without this '
                f'constructor; or lower min_dim; or set use_muon=True in custom_keys.'
            )
        print_log(f'{NAME}: who updates what\n{split_table(placements)}', logger='current')
        config = dict(self.optim_wrapper_cfg)
        config.setdefault('type', 'OptimWrapper')
        params = merge_groups([self._group(groups[id(placed.param)], placed) for placed in placements])
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': params})
        return OPTIM_WRAPPERS.build(config, default_args={'optimizer': optimizer})

    def _group(self, group: dict[str, Any], placed: Placement) -> dict[str, Any]:
        """The host's group of a parameter with explicit options, its lr on the scale of its part."""
        options = {'lr': self.base_lr, 'weight_decay': self.base_wd, **group, **placed.options}
        for name in ('lr_mult', 'decay_mult'):  # the host leaves them in the group after it has applied them
            options.pop(name, None)
        if getattr(placed.param, MARK, False):
            options['weight_decay'] = 0.0
        muon_lr = self.optimizer_cfg.get('muon_lr')
        if placed.use_muon and muon_lr is not None:
            options['lr'] = muon_lr * (options['lr'] / self.base_lr if self.base_lr else 1.0)
        return options


def merge_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the parameters of groups whose other options are equal, in order of first appearance."""
    merged: dict[str, dict[str, Any]] = {}
    for group in groups:
        options = {key: value for key, value in group.items() if key != 'params'}
        known = merged.setdefault(repr(sorted(options.items())), {**options, 'params': []})
        known['params'].extend(group['params'])
    return list(merged.values())


def _rules(options: dict[str, Any]) -> SplitRules:
    """The split options in ``paramwise_cfg``, checked.

    Raises:
        ValueError: a key that neither we nor the host know, or a value out of range.
    """
    unknown = sorted(set(options) - set(HOST_KEYS) - set(OWN_KEYS))
    if unknown:
        near = difflib.get_close_matches(unknown[0], (*OWN_KEYS, *HOST_KEYS), n=2)
        hint = f'Did you mean {" or ".join(near)}? ' if near else ''
        raise ValueError(f'{NAME}: paramwise_cfg has no {unknown[0]!r}. {hint}It knows {[*OWN_KEYS, *HOST_KEYS]}.')
    given = {key: options[key] for key in OWN_KEYS if key in options}
    for key in ('head_keys', 'muon_parts'):
        if key in given:
            if isinstance(given[key], str):
                raise ValueError(f'{NAME}: {key} must be a list of names, but got the string {given[key]!r}.')
            given[key] = tuple(given[key])
    rules = SplitRules(**given)
    check_integer('min_dim', rules.min_dim, low=1, owner=NAME)
    check_choice('grouped', rules.grouped, ('adamw', 'per_group'), owner=NAME)
    for part in rules.muon_parts:
        check_choice('muon_parts', part, QKV, owner=NAME)
    if not rules.fused_qkv and set(rules.muon_parts) != set(QKV):
        raise ValueError(f'{NAME}: muon_parts={rules.muon_parts} needs fused_qkv=True, which divides fused rows.')
    return rules
