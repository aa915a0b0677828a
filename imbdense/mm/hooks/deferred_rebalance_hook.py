"""``imbdense.DeferredRebalanceHook``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.mm.freezing import frozen_norms, learning_parameters, matching_parameters, set_learning, unwrapped
from imbdense.mm.hooks.class_count_hook import ClassCountHook
from imbdense.mm.phases import Phase, Timetable, read_phases
from imbdense.mm.train_sampler import (
    build_train_sampler,
    check_takes_over,
    iterates_without_epochs,
    replace_train_sampler,
)
from imbdense.registry import HOOKS

NAME = 'DeferredRebalanceHook'


@HOOKS.register_module()
class DeferredRebalanceHook(Hook):
    """Train in named phases that differ in what is rebalanced: losses, sampler, trained parameters, learning rate.

    Covers deferred re-weighting (plain loss first, rebalanced later), deferred re-sampling, and two-phase training
    (balanced sampler first, then the natural distribution at a tenth of the learning rate; or the other way round).

    The phase of an iteration follows from its number alone and is never stored, so a resumed run is in the right one.

    * **loss**: ``set_rebalancing`` of every imbdense loss of the model.
    * **sampler**: the data loader is made anew on the same data set. In an iteration-based loop the new sampler stands
      where it would if it had drawn from the beginning, and needs ``infinite=True``; epoch-based training changes it
      between epochs. All samplers are built before training, so that mistakes show at once. ``ClassCountHook`` then
      follows the prior anew: ledger and losses know what is drawn now.
    * **trainable**: other parameters get no gradient; normalisation layers whose parameters are all frozen keep their
      running statistics. On several ranks the model is wrapped anew.
    * **lr_mult**: the learning rates are multiplied for the time of the step only. Schedulers and checkpoints never see
      the product, so every scheduler goes on as if nothing was, and nothing has to be undone on resume; logs show it.

    Args:
        phases: name -> dict(until, loss, sampler, trainable, lr_mult), all optional. The phases follow each other in
            the order of ``until``, whatever their order here.

            * ``until``: end of the phase; a fraction of the training (float in (0, 1)), or a number of iterations, or
              of epochs in an epoch-based loop (int). Exactly one phase, the last, has none.
            * ``loss``: whether losses rebalance. Where it is left out: no, if another phase says True, otherwise yes.
              Left out everywhere: losses are not touched.
            * ``sampler``: config; ``'natural'`` = every image equally often; ``None`` = that of the data loader.
            * ``trainable``: ``'all'``, or a regular expression found in the names of the parameters that learn.
            * ``lr_mult``: factor of all learning rates, >= 0; default 1.

    Raises:
        TypeError, ValueError: at construction for wrong phases; before training when a phase would be empty, no loss
            can be switched, no parameter matches, or a sampler can not take over.

    Source: Cao et al., LDAM-DRW, NeurIPS 2019; Buda et al., Neural Networks 106, 2018; Kang et al., ICLR 2020.
    """

    card = 'deferred_rebalance'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    priority = 'HIGHEST'

    def __init__(self, phases: Mapping[str, Mapping[str, Any]]) -> None:
        self.phases = read_phases(phases, NAME)
        self._timetable: Timetable | None = None
        self._number = -1
        self._rates: list[Any] = []

    def before_train(self, runner: Any) -> None:
        """Check and build everything, and enter the phase of the next iteration."""
        loop = runner.train_loop
        model = unwrapped(runner.model)
        self._by_epoch = not iterates_without_epochs(loop)
        total = loop.max_epochs if self._by_epoch else loop.max_iters
        self._timetable = Timetable(self.phases, total, 'epoch' if self._by_epoch else 'iteration', NAME)
        self._losses = [module for module in model.modules() if hasattr(module, 'set_rebalancing')]
        if not self._losses and any(phase.loss is not None for phase in self.phases):
            raise ValueError(
                f'{NAME}: the phases switch the rebalancing of losses, but no loss of the model can be switched; '
                f'those of imbdense can. Use one, or leave loss out of the phases.'
            )
        names = learning_parameters(model)
        self._learning = [
            names if phase.trainable == 'all' else matching_parameters(names, phase.trainable, NAME)
            for phase in self.phases
        ]
        self._sampler = own = loop.dataloader.sampler
        if any(phase.sampler is not None for phase in self.phases):
            check_takes_over(loop, own)
        self._samplers = [
            own if phase.sampler is None else build_train_sampler(runner, phase.sampler) for phase in self.phases
        ]
        self._number = -1
        number = self._timetable.number_at(runner.epoch if self._by_epoch else runner.iter)
        self._draw_from(runner, number, skip=False)
        self._enter(runner, number)

    def before_train_epoch(self, runner: Any) -> None:
        """Epoch-based loops: change the phase between epochs."""
        if not self._by_epoch:
            return
        number = self._timetable.number_at(runner.epoch)
        if number != self._number:
            changed = self._draw_from(runner, number, skip=False)
            self._enter(runner, number, recount=changed)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Iteration-based loops: enter the phase of this iteration. Then multiply the learning rates for its step."""
        if not self._by_epoch:
            number = self._timetable.number_at(runner.iter)
            if number != self._number:
                self._enter(runner, number, recount=self._samplers[number] is not self._samplers[self._number])
        for module in self._norms:
            module.eval()
        factor = self.phases[self._number].lr_mult
        self._rates = []
        if factor != 1:
            for group in parameter_groups(runner.optim_wrapper):
                self._rates.append((group, group['lr']))
                group['lr'] = group['lr'] * factor

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Give the learning rates back; draw the next batch, which is loaded before its iteration, from its phase."""
        for group, rate in self._rates:
            group['lr'] = rate
        self._rates = []
        if not self._by_epoch and runner.iter + 1 < self._timetable.total:
            self._draw_from(runner, self._timetable.number_at(runner.iter + 1), skip=True)

    def _draw_from(self, runner: Any, number: int, *, skip: bool) -> bool:
        """Draw with the sampler of a phase; return whether that is another one."""
        sampler = self._samplers[number]
        if sampler is self._sampler:
            return False
        replace_train_sampler(runner, sampler, skip=skip)
        self._sampler = sampler
        return True

    def _enter(self, runner: Any, number: int, recount: bool = False) -> None:
        """Switch losses and parameters to a phase, and say so."""
        self._number = number
        phase: Phase = self.phases[number]
        if phase.loss is not None:
            for loss in self._losses:
                loss.set_rebalancing(phase.loss)
        set_learning(runner, self._learning[number])
        self._norms = [] if phase.trainable == 'all' else frozen_norms(unwrapped(runner.model))
        begin = [0, *self._timetable.ends][number]
        MMLogger.get_current_instance().info(
            f"{NAME}: phase '{phase.name}' from {self._timetable.unit} {begin} of {self._timetable.total}: "
            f'{phase.describe()}'
        )
        if recount:
            for hook in runner.hooks:
                if isinstance(hook, ClassCountHook):
                    hook.before_train(runner)


def parameter_groups(optim_wrapper: Any) -> Iterator[dict[str, Any]]:
    """The parameter groups of one optimiser or of several."""
    groups = optim_wrapper.param_groups
    for part in groups.values() if isinstance(groups, dict) else [groups]:
        yield from part
