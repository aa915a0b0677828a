"""Muon for matrices and AdamW (or SGD) for the rest, in one optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from imbdense.core.optim.auxiliary import aux_step
from imbdense.core.optim.groups import check_options, complete_groups
from imbdense.core.optim.matrix_update import MatrixRule, stacks, update_matrices
from imbdense.core.optim.newton_schulz import normalise_ns_dtype
from imbdense.core.optim.sharding import gather_objects, owners, share, wait_for_all, waiting_group, world_size


class MuonAdamW(torch.optim.Optimizer):
    """Orthogonalised momentum for weight matrices, AdamW or SGD for all other parameters.

    A matrix p with gradient g, flattened to (m, n) = (p.shape[0], -1)::

        B <- B + (1 - mu)(g - B)                         momentum_buffer, of shape and dtype of p, from zero
        u  = g + mu (B - g)  with nesterov, else B
        O  = NS(u)                                       :func:`~imbdense.core.optim.newton_schulz.orthogonalize`
        p <- p (1 - lr wd) - lr s O                      s of :func:`~imbdense.core.optim.newton_schulz.update_scale`

    Everything else: exactly ``torch.optim.AdamW`` (decoupled decay) or ``torch.optim.SGD`` (momentum, coupled decay).

    **Groups.** A group says ``use_muon`` True or False; one that does not, or a plain list of parameters, is split by
    shape: two dimensions and more -> Muon. A Muon group may also hold ``blocks`` (number of equal row blocks that are
    orthogonalised each by itself: 3 for fused q, k, v, the number of groups of a grouped convolution), ``muon_blocks``
    (indices of the blocks that Muon updates; the others are updated like auxiliary parameters) and ``rank_guard``. The
    ``lr`` of a group is the one schedulers change: ``muon_lr`` in Muon groups, ``lr`` in the others.

    **Edge cases.** ``grad`` None: no update, no decay, no state. Zero gradient and momentum: O = 0, only decay. An O
    that is not finite: parameter and momentum stay as they were, :attr:`muon_skipped` counts it. Gradients are never
    changed. Sparse gradients are made dense for the auxiliary part and refused for matrices. Complex parameters are
    never Muon's. No matrix at all: a ``UserWarning``.

    **State.** ``momentum_buffer`` per matrix, one buffer less than AdamW; ``exp_avg``, ``exp_avg_sq``, ``step`` (AdamW)
    or ``aux_momentum_buffer`` (SGD) for the others; ``muon_skipped`` in the state dict. Resuming is bit-exact.

    **Ranks.** Gradients must be averaged already (DDP); every rank then computes the same update. With ``distribute``
    each matrix is updated by one rank, which alone holds its momentum, and the parameters are broadcast: the work and
    the memory of Muon are divided by the number of ranks, the result is the same. :meth:`state_dict` then gathers the
    momentum and must be called by all ranks; it can be loaded with any number of ranks. DTensor and FSDP shards are
    refused. **AMP.** Gradients must be unscaled before the step, as ``GradScaler.step`` does.

    Args:
        params: parameters or groups.
        lr: of the auxiliary part. weight_decay, betas, eps: as in AdamW; weight decay acts on both parts.
        muon_lr: of matrices; ``None`` = ``lr``, which suits ``scale='match_rms_adamw'``. With 'original' about 0.02.
        muon_momentum: mu in [0, 1). nesterov, ns_steps, ns_dtype, scale: see above and ``newton_schulz``.
        conv_scale: 'flattened' takes s from the flattened (m, n). 'reference' takes it from the last two dimensions of
            the weight, as the published code does: 1 for every square kernel.
        aux: 'adamw' or 'sgd'. aux_momentum: of SGD.
        rank_guard: ``orthogonalize_guarded`` in the place of the iteration, in groups that do not say otherwise.
        foreach: iterate matrices of equal shape as one batch.
        distribute: see Ranks. Collective: every rank must call :meth:`step` equally often.

    Raises:
        TypeError / ValueError: an argument is out of range; a Muon group holds a vector, a complex or sharded
            parameter, or rows that ``blocks`` does not divide.

    Source: Jordan et al., Muon, 2024 (github.com/KellerJordan/Muon); Loshchilov & Hutter, AdamW, ICLR 2019.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        muon_lr: float | None = None,
        muon_momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        scale: str = 'match_rms_adamw',
        ns_dtype: str | torch.dtype = 'auto',
        conv_scale: str = 'flattened',
        aux: str = 'adamw',
        aux_momentum: float = 0.9,
        rank_guard: bool = False,
        foreach: bool = True,
        distribute: bool = False,
    ) -> None:
        defaults = {
            'lr': lr, 'weight_decay': weight_decay, 'betas': tuple(betas), 'eps': eps, 'muon_lr': muon_lr,
            'muon_momentum': muon_momentum, 'nesterov': bool(nesterov), 'ns_steps': ns_steps, 'scale': scale,
            'ns_dtype': normalise_ns_dtype(ns_dtype), 'conv_scale': conv_scale, 'aux': aux,
            'aux_momentum': aux_momentum, 'rank_guard': bool(rank_guard), 'blocks': 1, 'muon_blocks': None,
            'foreach': bool(foreach), 'distribute': bool(distribute),
        }  # fmt: skip
        check_options(defaults)
        defaults['aux_lr_ratio'] = 1.0 if muon_lr is None else lr / muon_lr
        self._reset()
        super().__init__(params, defaults)
        if not self._matrices():
            warnings.warn(
                'MuonAdamW: there is no matrix for Muon, so this is plain AdamW (or SGD). Put matrices into a group '
                'with use_muon=True, or take torch.optim.AdamW.', UserWarning, stacklevel=2,
            )  # fmt: skip

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; without ``use_muon`` it becomes up to two, matrices and the rest."""
        for group in complete_groups(param_group, self.defaults):
            super().add_param_group(group)

    @property
    def muon_skipped(self) -> int:
        """How often a matrix was left alone because its update was not finite; with ``distribute`` on this rank.

        Reading it makes an accelerator wait.
        """
        return self._skipped_before + sum(int(count) for count in self._skipped.values())

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the value of ``closure``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        world = world_size() if self.defaults['distribute'] else 1
        foreign = self._foreign(world)
        for group in self.param_groups:
            params = [param for param in group['params'] if param.grad is not None]
            if group['use_muon']:
                self._matrix_step(group, [param for param in params if id(param) not in foreign])
            self._aux_step(group, params)
        if world > 1:
            matrices = self._matrices()
            share(matrices, owners(matrices, world))
            self._spread = True
        return loss

    def state_dict(self) -> dict[str, Any]:
        """As in torch, plus ``muon_skipped``; with ``distribute`` on several ranks all of them must call it."""
        self.consolidate_state()
        return {**super().state_dict(), 'muon_skipped': self.muon_skipped}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As in torch; written with any number of ranks, read with any number."""
        super().load_state_dict(dict(state_dict))
        self._reset()
        self._skipped_before = int(state_dict.get('muon_skipped', 0))

    def consolidate_state(self) -> None:
        """Give every rank the whole momentum and the sum of skipped updates (collective); nothing without ranks.

        Until the next step :meth:`state_dict` then works on one rank alone.

        Raises:
            RuntimeError: not every rank called it.
        """
        if not self._spread:
            return
        wait_for_all(self._waiting)
        matrices = self._matrices()
        owner = owners(matrices, world_size())
        own_skips = self.muon_skipped - self._skipped_before
        held = [index for index, matrix in enumerate(matrices) if 'momentum_buffer' in self.state.get(matrix, {})]
        found = gather_objects((held, own_skips))
        present = [index for index in range(len(matrices)) if index in set(found[owner[index]][0])]
        share([self._buffer(matrices[index]) for index in present], [owner[index] for index in present])
        before = self._skipped_before
        self._reset()
        self._skipped_before = before + sum(skips for _, skips in found)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if '_skipped' not in self.__dict__:  # unpickled or copied
            self._reset()

    def _reset(self) -> None:
        """Nothing skipped, every rank holds all there is."""
        self._skipped: dict[torch.device, Tensor] = {}
        self._skipped_before = 0
        self._spread = False
        self._waiting: Any = None

    def _matrices(self) -> list[Tensor]:
        """The parameters of all Muon groups."""
        return [param for group in self.param_groups if group['use_muon'] for param in group['params']]

    def _foreign(self, world: int) -> set[int]:
        """ids of the matrices that other ranks update; their momentum is not kept here."""
        if world == 1:
            return set()
        if self._waiting is None:
            self._waiting = waiting_group()
        matrices = self._matrices()
        rank = torch.distributed.get_rank()
        others = [matrix for matrix, owner in zip(matrices, owners(matrices, world)) if owner != rank]
        for matrix in others:
            self.state.get(matrix, {}).pop('momentum_buffer', None)
        return {id(matrix) for matrix in others}

    def _buffer(self, param: Tensor) -> Tensor:
        """Its momentum, zero at first."""
        state = self.state[param]
        if 'momentum_buffer' not in state:
            state['momentum_buffer'] = torch.zeros_like(param, memory_format=torch.preserve_format)
        buffer: Tensor = state['momentum_buffer']
        return buffer

    def _matrix_step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """Muon on the matrices of a group."""
        rule = MatrixRule(
            group['lr'], group['weight_decay'], group['muon_momentum'], group['nesterov'], group['ns_steps'],
            group['scale'], group['ns_dtype'], group['conv_scale'], group['rank_guard'], group['blocks'],
            group['muon_blocks'],
        )  # fmt: skip
        for stack in stacks(params, self.defaults['foreach']):
            grads = [param.grad for param in stack if param.grad is not None]
            if any(grad.is_sparse for grad in grads):
                raise RuntimeError(
                    'MuonAdamW: a matrix of a Muon group has a sparse gradient (an embedding with sparse=True?). Put '
                    'it into a group with use_muon=False.'
                )
            skipped = update_matrices(stack, grads, [self._buffer(param) for param in stack], rule)
            before = self._skipped.get(skipped.device)
            self._skipped[skipped.device] = skipped if before is None else before + skipped

    def _aux_step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """AdamW or SGD on an auxiliary group, or on the rows of a Muon group that Muon leaves out."""
        grads = [param.grad for param in params if param.grad is not None]
        if not group['use_muon']:
            aux_step(params, grads, self.state, group, lr=group['lr'])
            return
        rest = [block for block in range(group['blocks']) if block not in group['muon_blocks']]
        lr = group['lr'] * group['aux_lr_ratio']
        aux_step(params, grads, self.state, group, lr=lr, blocks=group['blocks'], chosen=rest)
