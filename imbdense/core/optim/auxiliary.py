"""AdamW or SGD, as torch computes them, on parameters or on blocks of their rows."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from imbdense.core.optim.matrix_update import row_blocks

State = Mapping[Tensor, MutableMapping[str, Any]]


def aux_step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    state: State,
    options: Mapping[str, Any],
    *,
    lr: float,
    blocks: int = 1,
    chosen: Sequence[int] = (0,),
) -> None:
    """One step of ``torch.optim.AdamW`` or ``SGD`` in place, on the ``chosen`` ones of ``blocks`` row blocks.

    Args:
        params, grads: parameters and their gradients; a sparse gradient is made dense.
        state: per parameter: ``exp_avg``, ``exp_avg_sq`` (of the shape of the parameter) and ``step`` (one number, or
            one per block), or ``aux_momentum_buffer``; made where missing.
        options: ``aux``, ``weight_decay``, ``betas``, ``eps``, ``aux_momentum``.
        lr: learning rate.
    """
    if not params or not chosen:
        return
    rows = [part for param in params for part in row_blocks(param, blocks, chosen)]
    dense = (grad.to_dense() if grad.is_sparse else grad for grad in grads)
    row_grads = [part for grad in dense for part in row_blocks(grad, blocks, chosen)]

    def kept(key: str) -> list[Tensor]:
        """The row blocks of a state tensor of every parameter."""
        for param in params:
            if key not in state[param]:
                state[param][key] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return [part for param in params for part in row_blocks(state[param][key], blocks, chosen)]

    if options['aux'] == 'sgd':
        momentum: list[Tensor | None] = [None] * len(rows)
        if options['aux_momentum'] > 0:
            momentum = [*kept('aux_momentum_buffer')]
        sgd(
            rows, row_grads, momentum, weight_decay=options['weight_decay'], momentum=options['aux_momentum'], lr=lr,
            dampening=0.0, nesterov=False, maximize=False,
        )  # fmt: skip
        return
    beta1, beta2 = options['betas']
    adamw(
        rows, row_grads, kept('exp_avg'), kept('exp_avg_sq'), [], _step_counts(params, state, blocks, chosen),
        has_complex=any(torch.is_complex(row) for row in rows), amsgrad=False, beta1=beta1, beta2=beta2, lr=lr,
        weight_decay=options['weight_decay'], eps=options['eps'], maximize=False,
    )  # fmt: skip


def _step_counts(params: Sequence[Tensor], state: State, blocks: int, chosen: Sequence[int]) -> list[Tensor]:
    """Scalars that AdamW counts up in place: one per block, since it adds one for every tensor it is given."""
    for param in params:
        if 'step' not in state[param]:
            state[param]['step'] = torch.zeros(() if blocks == 1 else (blocks,))
    if blocks == 1:
        return [state[param]['step'] for param in params]
    return [state[param]['step'][block] for param in params for block in chosen]
