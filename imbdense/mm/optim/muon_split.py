"""Which parameters of a model Muon updates, and why: the hidden matrices, nothing at the ends of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from imbdense.core.optim.groups import is_matrix
from imbdense.mm.optim.muon_layers import HEAD_KEYS, QKV, Weight, weights_of


@dataclass(frozen=True)
class SplitRules:
    """The options of the split; see ``MuonOptimWrapperConstructor``."""

    min_dim: int = 8
    head_keys: tuple[str, ...] = HEAD_KEYS
    include_head: bool = False
    rank_guard: bool = True
    grouped: str = 'adamw'
    fused_qkv: bool = True
    muon_parts: tuple[str, ...] = QKV


@dataclass(frozen=True)
class Placement:
    """Where one parameter goes: Muon (in row blocks, see ``MuonAdamW``) or the auxiliary part; and why."""

    name: str
    param: Tensor = field(repr=False)
    use_muon: bool
    reason: str
    blocks: int = 1
    muon_blocks: tuple[int, ...] = (0,)
    rank_guard: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Keys for the parameter group."""
        if not self.use_muon:
            return {'use_muon': False}
        return {
            'use_muon': True, 'blocks': self.blocks, 'muon_blocks': self.muon_blocks, 'rank_guard': self.rank_guard
        }  # fmt: skip


def split_parameters(
    model: nn.Module, rules: SplitRules = SplitRules(), forced: Mapping[str, bool] | None = None
) -> list[Placement]:
    """Place every trainable parameter of ``model`` once, in order of registration.

    Auxiliary are, by the first rule that holds: vectors (norms, biases, scales) and complex parameters; everything that
    is not the weight of a linear, convolution or attention layer (embeddings, queries, position tables); the first
    layer of each backbone; classifiers; offset predictors; grouped convolutions, unless ``grouped='per_group'``;
    attention parts that ``muon_parts`` leaves out; matrices (or blocks) with a side below ``min_dim``.

    Args:
        model: the bare module.
        rules: options.
        forced: name -> True or False, overrides the rules for a parameter (``use_muon`` of ``custom_keys``).

    Raises:
        ValueError: Muon is forced on a vector or a complex parameter.
    """
    forced = forced or {}
    return [place(weight, rules, forced.get(weight.name)) for weight in weights_of(model, rules.head_keys)]


def place(weight: Weight, rules: SplitRules, choice: bool | None = None) -> Placement:
    """Decide on one parameter; ``choice`` overrides the rules."""
    blocks, chosen = _row_blocks(weight, rules)
    reason = _exclusion(weight, rules, blocks, chosen)
    if choice is not None:
        reason = f'use_muon={choice} in custom_keys'
    if choice is False or (choice is None and reason):
        return Placement(weight.name, weight.param, False, reason)
    if not is_matrix(weight.param):
        raise ValueError(
            f'MuonOptimWrapperConstructor: custom_keys says use_muon=True for {weight.name}, which is no real matrix '
            f'(shape {tuple(weight.param.shape)}, {weight.param.dtype}). Use a longer key, one that ends with "weight".'
        )
    guard = weight.head and rules.rank_guard
    reason = reason or ('classifier' if weight.head else 'hidden matrix')
    if 0 < len(chosen) < blocks:
        reason = f'{reason}: rows of {", ".join(QKV[block] for block in chosen)}'
    return Placement(weight.name, weight.param, True, reason, blocks, chosen or tuple(range(blocks)), guard)


def split_table(placements: Sequence[Placement]) -> str:
    """One line per component of the model and rule: parameter tensors and numbers on each side."""
    rows: dict[tuple[str, bool, str], list[int]] = {}
    for placed in placements:
        for component in (placed.name.split('.', 1)[0], 'all'):
            reason = placed.reason if component != 'all' else ''
            rows.setdefault((component, placed.use_muon, reason), []).append(placed.param.numel())
    width = max((len(component) for component, _, _ in rows), default=0)
    order = sorted(rows, key=lambda row: (row[0] == 'all', row[0], not row[1], row[2]))
    return '\n'.join(
        f'{component:<{width}}  {"Muon" if muon else "aux":<4} {len(rows[component, muon, reason]):>5} tensors '
        f'{sum(rows[component, muon, reason]):>12,}  {reason}'
        for component, muon, reason in order
    )


def _row_blocks(weight: Weight, rules: SplitRules) -> tuple[int, tuple[int, ...]]:
    """Number of row blocks, and those that are Muon's."""
    if weight.fused and rules.fused_qkv:
        return 3, tuple(block for block, part in enumerate(QKV) if part in rules.muon_parts)
    groups = weight.groups if weight.is_layer_matrix else 1
    return groups, tuple(range(groups))


def _exclusion(weight: Weight, rules: SplitRules, blocks: int, chosen: tuple[int, ...]) -> str:
    """Why a parameter is not Muon's; '' when it is."""
    param = weight.param
    if param.ndim < 2:
        return 'vector (norm, bias, scale)'
    if not is_matrix(param):
        return 'complex or empty'
    if not weight.is_layer_matrix:
        return 'embedding or table'
    if weight.first:
        return 'first layer'
    if weight.head and not rules.include_head:
        return 'classifier'
    if 'offset' in weight.layer_name:
        return 'offset predictor'
    if weight.groups > 1 and rules.grouped == 'adamw':
        return 'grouped convolution'
    if not chosen or (weight.part and weight.part not in rules.muon_parts):
        return 'attention part'
    rows = param.shape[0] // blocks
    return f'side below {rules.min_dim}' if min(rows, param.shape[1:].numel()) < rules.min_dim else ''
