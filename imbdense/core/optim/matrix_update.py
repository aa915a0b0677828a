"""One Muon update of matrices of equal shape: momentum, orthogonalisation, scale, and what happens to NaN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.core.optim.newton_schulz import orthogonalize, orthogonalize_guarded, update_scale

STACK_ELEMENTS = {'cpu': 2**18}
"""Matrices are stacked up to this many elements on a device type; larger ones gain nothing there."""
OTHER_STACK_ELEMENTS = 2**24
"""The same on other devices; about eight copies of the stack are alive at a time."""


@dataclass(frozen=True)
class MatrixRule:
    """How the matrices of a parameter group are updated; the attributes are the options of ``MuonAdamW``.

    ``blocks`` equal blocks of rows are orthogonalised each by itself; ``muon_blocks`` are those updated here.
    """

    lr: float
    weight_decay: float
    momentum: float
    nesterov: bool
    ns_steps: int
    scale: str
    ns_dtype: str
    conv_scale: str
    rank_guard: bool
    blocks: int
    muon_blocks: tuple[int, ...]

    def scale_of(self, shape: torch.Size) -> float:
        """The factor s for a weight of ``shape``."""
        if self.conv_scale == 'reference' and len(shape) > 2:
            return update_scale(shape[-2], shape[-1], self.scale)
        rows = shape[0] // self.blocks
        return update_scale(rows, shape[0] * shape[1:].numel() // (self.blocks * rows), self.scale)


def update_matrices(
    params: Sequence[Tensor], grads: Sequence[Tensor], buffers: Sequence[Tensor], rule: MatrixRule
) -> Tensor:
    """Update parameters of one shape, dtype and device in place, as one batch; gradients stay as they are.

    B <- B + (1 - mu)(g - B);  u = g + mu (B - g) with Nesterov, else B;  O = NS(u) of the flattened matrix;
    p <- p (1 - lr wd) - lr s O. Where O of a parameter is not finite, it and its momentum stay as they were.

    Returns:
        int64 (), the number of parameters that were skipped; reading it would make an accelerator wait.
    """
    shape = params[0].shape
    matrices = (len(params), rule.blocks, shape[0] // rule.blocks, -1)
    grad = _stack(grads, matrices)
    old = _stack(buffers, matrices)
    momentum = old.lerp(grad, 1.0 - rule.momentum)
    update = grad.lerp(momentum, rule.momentum) if rule.nesterov else momentum
    if len(rule.muon_blocks) < rule.blocks:
        update = update[:, list(rule.muon_blocks)]
    turn = orthogonalize_guarded if rule.rank_guard else orthogonalize
    ortho = turn(update, steps=rule.ns_steps, dtype=rule.ns_dtype)
    finite = torch.isfinite(ortho).flatten(1).all(1)
    mask = finite[:, None, None, None]
    momentum, ortho = torch.where(mask, momentum, old), torch.where(mask, ortho, 0.0)
    decay = torch.where(finite, 1.0 - rule.lr * rule.weight_decay, 1.0).to(params[0].dtype)
    step = rule.lr * rule.scale_of(shape)
    for index, (param, buffer) in enumerate(zip(params, buffers)):
        buffer.copy_(momentum[index].reshape(shape))
        for block, rows in zip(ortho[index], row_blocks(param, rule.blocks, rule.muon_blocks)):
            rows.mul_(decay[index]).add_(block.reshape(rows.shape), alpha=-step)
    return (~finite).sum()


def row_blocks(tensor: Tensor, blocks: int, chosen: Sequence[int]) -> list[Tensor]:
    """Views of the ``chosen`` ones of ``blocks`` equal blocks of rows; the whole where nothing is divided."""
    if len(chosen) == blocks == 1:
        return [tensor]
    rows = tensor.shape[0] // blocks
    return [tensor.narrow(0, block * rows, rows) for block in chosen]


def stacks(params: Sequence[Tensor], batched: bool) -> Iterator[list[Tensor]]:
    """Parts of ``params`` to update together: equal shape, dtype and device, at most :data:`STACK_ELEMENTS`."""
    if not batched:
        yield from ([param] for param in params)
        return
    alike: dict[tuple[torch.Size, torch.dtype, torch.device], list[Tensor]] = {}
    for param in params:
        alike.setdefault((param.shape, param.dtype, param.device), []).append(param)
    for members in alike.values():
        limit = STACK_ELEMENTS.get(members[0].device.type, OTHER_STACK_ELEMENTS)
        size = max(1, limit // max(members[0].numel(), 1))
        yield from (members[start : start + size] for start in range(0, len(members), size))


def _stack(tensors: Sequence[Tensor], matrices: tuple[int, ...]) -> Tensor:
    """One contiguous (k, blocks, rows, columns) tensor; a view where there is one tensor, so never written to."""
    if len(tensors) == 1:
        return tensors[0].reshape(matrices)
    return torch.stack([tensor.reshape(matrices[1:]) for tensor in tensors])
