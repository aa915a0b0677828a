"""Change the sampler of a training that is under way."""

from __future__ import annotations

from typing import Any

from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader

from imbdense.mm.reproducible import NumberedSampler

_SETTINGS = (
    'num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn', 'multiprocessing_context', 'generator',
    'prefetch_factor', 'persistent_workers',
)  # fmt: skip


def iterates_without_epochs(loop: Any) -> bool:
    """Whether a training loop counts iterations and draws from an endless iterator (``IterBasedTrainLoop``)."""
    return hasattr(loop, 'dataloader_iterator')


def build_train_sampler(runner: Any, config: dict[str, Any] | str) -> Any:
    """Build a sampler for the train set of ``runner``, seeded as the host seeds one. Call it on every rank.

    Args:
        config: of a sampler, or ``'natural'``: every image equally often, with the host's own samplers.

    Raises:
        ValueError: an iteration-based loop could not let it take over in the middle.
    """
    loop = runner.train_loop
    endless = iterates_without_epochs(loop)
    if isinstance(config, str):
        config = {'type': 'InfiniteSampler' if endless else 'DefaultSampler', 'shuffle': True}
    # Each rank with numbers of its own: the host then gives samplers no seed, and they agree on one.
    seed = None if runner._randomness_cfg.get('diff_rank_seed', False) else runner.seed
    sampler = DATA_SAMPLERS.build(dict(config), default_args={'dataset': loop.dataloader.dataset, 'seed': seed})
    check_takes_over(loop, sampler)
    return sampler


def check_takes_over(loop: Any, sampler: Any) -> None:
    """Raise ``ValueError`` unless ``sampler`` can take over in the middle of ``loop``.

    In an iteration-based loop it has to jump to where training is, so that a resumed run draws the same images as one
    that was not interrupted.
    """
    if not iterates_without_epochs(loop):
        return
    name = type(sampler).__name__
    if not hasattr(sampler, 'skip'):
        raise ValueError(
            f'{name} can not take over in the middle of an iteration-based training, because it has no end to jump '
            f'past. Use infinite=True with samplers of imbdense, InfiniteSampler instead of DefaultSampler.'
        )
    if type(loop.dataloader.batch_sampler) is not BatchSampler:
        raise ValueError(
            f'{type(loop.dataloader.batch_sampler).__name__} draws batches in its own way, so {name} can not jump to '
            f'where an iteration-based training is. Train by epochs, or leave batch_sampler out.'
        )


def replace_train_sampler(runner: Any, sampler: Any, *, skip: bool) -> None:
    """Let ``sampler`` draw from now on: a new data loader with the settings of the old one on the same data set.

    Everything of the host that looks at the loader (epoch seeds, skipping, lengths) meets the new sampler, and the
    numbering of :class:`~imbdense.mm.hooks.ExactResumeHook` goes on. In an iteration-based loop the sampler stands
    where it would if it had drawn from the beginning: the images depend on the iteration alone, also after resuming.

    Args:
        runner: its training loop is changed.
        sampler: from :func:`build_train_sampler`, or the loader's first one.
        skip: jump to the iteration that comes next; ``False`` before the loop runs, where the host does it.
    """
    loop = runner.train_loop
    old = loop.dataloader
    settings = {name: getattr(old, name) for name in _SETTINGS}
    numbered = getattr(old.batch_sampler, 'sampler', None)
    if type(old.batch_sampler) is BatchSampler:
        settings.update(batch_size=old.batch_size, drop_last=old.drop_last, sampler=sampler)
    else:
        config = runner.cfg.train_dataloader
        settings['batch_sampler'] = DATA_SAMPLERS.build(
            dict(config.batch_sampler), default_args={'sampler': sampler, 'batch_size': config.batch_size}
        )
    loop.dataloader = loader = DataLoader(old.dataset, **settings)
    position = loop.iter + 1 if skip else loop.iter
    if isinstance(numbered, NumberedSampler):
        loader.batch_sampler.sampler = numbered.around(sampler, position * (loader.batch_size or 0))
    if iterates_without_epochs(loop):
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)
        if skip and hasattr(loop.dataloader_iterator, 'skip_iter'):
            loop.dataloader_iterator.skip_iter(position)
    else:
        loop._max_iters = loop.iter + (loop.max_epochs - loop.epoch) * len(loader)
