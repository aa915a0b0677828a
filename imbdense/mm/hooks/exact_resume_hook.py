"""Resume after a crash with the weights an uninterrupted run would have."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from imbdense.mm.reproducible import NumberedSampler, SeededFetch, seed_iteration
from imbdense.registry import HOOKS


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make a killed and resumed run equal an uninterrupted one.

    The host restores weights, optimiser and schedules but not the random generators, so augmentation and dropout
    differ after resuming. Here both follow counters: see :mod:`imbdense.mm.reproducible`. On CPU the weights are
    bit-equal; on a GPU as far as its kernels are deterministic. The result does not depend on the number of workers.

    State: none in the checkpoint; needs the seed of the killed run, which ``imbdense train --resume`` takes from it.
    Ranks: each rank has its own streams. Limits: a batch sampler that keeps no ``sampler`` inside is left alone, an
    epoch loop resumes at the start of an epoch.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._numbered = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Number the draws of the train loader and seed each sample by its number, before the first one is drawn.

        Not in ``before_train``: there other hooks still look at the sampler itself.
        """
        if self._numbered:
            return
        self._numbered = True
        loop = runner.train_loop
        loader = loop.dataloader
        batch_sampler = loader.batch_sampler
        if not hasattr(batch_sampler, 'sampler') or hasattr(loader.dataset, '__getitems__'):
            runner.logger.warning('ExactResumeHook: this data loader draws batches in its own way; resuming restores '
                                  'the weights but not the augmentation.')
            return
        endless = getattr(loop, 'dataloader_iterator', None)
        # An iteration loop moves a sampler that can skip; any other one it walks through from the start.
        skips = hasattr(endless, 'skip_iter') and loader.batch_size and hasattr(loader.sampler, 'skip')
        start = runner.iter * loader.batch_size if skips and not loop.fast_forward_on_resume else 0
        batch_sampler.sampler = NumberedSampler(batch_sampler.sampler, loop, endless is None, start)
        loader.dataset.__getitems__ = SeededFetch(loader.dataset, int(runner.seed), get_rank())
        if endless is not None and getattr(endless, '_iterator', None) is not None:
            # Older hosts start the workers when the loop is built, before the sampler was numbered.
            loop.dataloader_iterator = type(endless)(loader)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the generators from (seed, rank, iteration)."""
        seed_iteration(int(runner.seed), get_rank(), runner.iter)
