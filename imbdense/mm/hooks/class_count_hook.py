"""``imbdense.ClassCountHook``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.checks import check_choice
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.assigned_counts.class_layers import find_class_layers, main_layer
from imbdense.mm.assigned_counts.run import keep_in_checkpoint, restore_from_checkpoint, run_counts
from imbdense.mm.class_counts import UNITS, default_unit
from imbdense.mm.datasets.class_order import check_class_order
from imbdense.mm.element_samplers import element_samplers
from imbdense.mm.prior import HUB_COUNTS, HUB_LEDGER, META_KEY, build_ledger, sampler_of
from imbdense.registry import HOOKS


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Count the training classes once and hand the prior to every component that corrects it.

    Before training: class counts of the training set (cached) -> :class:`~imbdense.core.stats.PriorLedger` -> effect
    of the sampler -> effects of the transforms, of a preprocessor that makes voxels, and of samplers inside the model
    (pixels, proposals) ->
    ``bind_prior(ledger, counts)`` of every module of the model that has it (all imbdense losses that use counts). Each
    loss then corrects only what sampler and transforms left over; a loss with its own ``class_counts`` that would
    correct twice raises ``DoubleCorrectionError``, which names who already did. The ledger is logged as a table. A
    validation or test set that numbers its classes in another way is an error.

    State: counts and ledger lie in the message hub and in ``meta['imbdense']`` of every checkpoint, so that a test run
    knows what training did. They are recomputed, not restored, when training is resumed: data and config decide.
    Across ranks: rank 0 counts and sends the result; an error there is raised on every rank.

    With ``count='assigned'`` the prior is that of the samples (anchors, points, proposals, queries) the detection head
    learns from, after the pipeline and its own assigner: a class of large objects gets more anchors than its number of
    objects says. They are measured (see :mod:`imbdense.mm.assigned_counts`) as sampler and transforms leave them, and
    the ledger begins with them.

    Args:
        count: unit of the prior: 'pixels', 'regions', 'instances', 'images' or 'assigned'; ``None`` = 'assigned' where
            a loss asks for it, else pixels for segmentation, instances for detection. Detection with crowded rare
            images may prefer 'images'.
        seed: of the estimates that transforms sample.
    """

    card = 'prior_ledger'
    tasks = ('segmentation', 'detection')
    priority = 'ABOVE_NORMAL'

    def __init__(self, count: str | None = None, seed: int = 0) -> None:
        self.count = None if count is None else check_choice('count', count, UNITS, owner='ClassCountHook')
        self.seed = int(seed)

    def before_train(self, runner: Any) -> None:
        """Count, follow the prior through the data pipeline, bind the losses, log and publish."""
        if runner.val_loop is not None:
            train, validation = runner.train_dataloader.dataset, runner.val_dataloader.dataset
            check_class_order(_metainfo(train), _metainfo(validation), 'validation')
        model = getattr(runner.model, 'module', runner.model)
        elements, remarks = element_samplers(model)
        preprocessor = getattr(model, 'data_preprocessor', None)
        steps = [preprocessor] if hasattr(preprocessor, 'prior_effect') else []
        counts, ledger, unknown = self._on_rank_zero(runner.train_dataloader, elements, steps)
        if self.count == 'assigned' or asks_for_assigned(model):
            counts, ledger = self._with_assigned(runner, counts, ledger)
            unknown = []
        bound = bind_losses(model, ledger, counts)
        runner.message_hub.update_info(HUB_COUNTS, counts.to_dict())
        runner.message_hub.update_info(HUB_LEDGER, ledger.to_dict())
        logger = MMLogger.get_current_instance()
        logger.info(f'ClassCountHook: the class prior along this run\n{ledger.describe()}')
        amounts = counts.of(self.count or default_unit(counts))
        empty = [name for name, amount in zip(counts.classes, amounts, strict=True) if amount == 0]
        if empty:
            logger.warning(
                f'ClassCountHook: the training set has no sample of {", ".join(empty)}. Nothing can be learned there; '
                f'losses count such a class once (empty_class="one") or leave it out ("mask").'
            )
        if unknown:
            logger.warning(
                f'ClassCountHook: {", ".join(unknown)} says nothing about its effect on the class prior (no '
                f'prior_effect); it is taken as none.'
            )
        for remark in remarks:
            logger.warning(f'ClassCountHook: {remark}')
        if not bound:
            logger.info('ClassCountHook: no module of the model uses class counts (none has bind_prior).')

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put counts and ledger into the checkpoint's meta, which also published checkpoints keep."""
        info = runner.message_hub.runtime_info
        if HUB_LEDGER in info:
            kept = checkpoint['meta'].setdefault(META_KEY, {})
            kept.update(class_counts=info[HUB_COUNTS], prior_ledger=info[HUB_LEDGER])
        keep_in_checkpoint(runner, checkpoint)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put them back into the message hub, for components that act at test time and for the report."""
        record = checkpoint.get('meta', {}).get(META_KEY) if isinstance(checkpoint.get('meta'), dict) else None
        if record and 'prior_ledger' in record:
            runner.message_hub.update_info(HUB_COUNTS, record['class_counts'])
            runner.message_hub.update_info(HUB_LEDGER, record['prior_ledger'])
        restore_from_checkpoint(runner, checkpoint)
        tested = getattr(getattr(getattr(runner, '_test_loop', None), 'dataloader', None), 'dataset', None)
        trained = (checkpoint.get('meta') or {}).get('dataset_meta')
        check_class_order(trained, _metainfo(tested), 'test')

    def _with_assigned(
        self, runner: Any, counts: ClassCounts, ledger: PriorLedger
    ) -> tuple[ClassCounts, PriorLedger]:
        """Measure the samples of the main head; return the counts with them, and a ledger that begins with them.

        Sampler and transforms are in the measurement already: they stay in the ledger by name, and change nothing.
        """
        layer = main_layer(find_class_layers(runner.model))
        found = run_counts(runner, [layer], seed=self.seed)[layer.path]
        if layer.name == 'conv_seg' or found.classes != counts.classes:
            raise ValueError(
                f"ClassCountHook: count='assigned' counts what a detection head learns each class from, but "
                f'{layer.dotted} has the classes {found.classes[:5]}. Choose one of {list(counts.units)}.'
            )
        measured = PriorLedger(counts.classes, found.foreground, source=f'assigned to {layer.path}')
        for entry in ledger.entries[1:]:
            measured.declare(entry.source, measured.seen_prior)
        return replace(counts, assigned=found.foreground), measured

    def _on_rank_zero(
        self, loader: Any, elements: list[Any], steps: list[Any]
    ) -> tuple[ClassCounts, PriorLedger, list[str]]:
        """Count on rank 0 and send the result (or the error) to all ranks."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return self._count(loader, elements, steps)
        box: list[Any] = [None]
        if dist.get_rank() == 0:
            try:
                counts, ledger, unknown = self._count(loader, elements, steps)
                box = [(counts.to_dict(), ledger.to_dict(), unknown)]
            except Exception as error:  # the other ranks wait for this message
                dist.broadcast_object_list([f'{type(error).__name__}: {error}'], src=0)
                raise
        dist.broadcast_object_list(box, src=0)
        if isinstance(box[0], str):
            raise RuntimeError(f'ClassCountHook: counting failed on rank 0: {box[0]}')
        counts_record, ledger_record, unknown = box[0]
        return ClassCounts.from_dict(counts_record), PriorLedger.from_dict(ledger_record), unknown

    def _count(
        self, loader: Any, elements: list[Any], steps: list[Any]
    ) -> tuple[ClassCounts, PriorLedger, list[str]]:
        """Counts and data entries of the ledger."""
        from imbdense.mm.datasets.statistics import class_counts
        from imbdense.mm.drawn_windows import prior_table

        counts = class_counts(loader.dataset)
        table, dataset, drawer = prior_table(loader.dataset)
        ledger, unknown = build_ledger(
            counts,
            table,
            dataset,
            sampler_of(loader),
            unit=None if self.count == 'assigned' else self.count,
            seed=self.seed,
            elements=elements,
            steps=steps,
            drawer=drawer,
        )
        return counts, ledger, unknown


def _metainfo(dataset: Any) -> Any:
    """What a data set tells about itself."""
    return getattr(dataset, 'metainfo', None)


def asks_for_assigned(model: Any) -> bool:
    """Whether a loss of the model wants the assigned samples (``count='assigned'``)."""
    return any(
        getattr(module, 'count', None) == 'assigned' and callable(getattr(module, 'bind_prior', None))
        for module in model.modules()
    )


def bind_losses(model: Any, ledger: PriorLedger, counts: ClassCounts) -> list[str]:
    """Call ``bind_prior`` of every module that has it; return their names.

    Heads whose classes are not those of the data set are excepted: region proposals, and heads that say
    ``classes_of_its_own`` (land cover beside a change map). Their losses count what they see.

    Modules that change which samples the losses see (``changes_samples``, an assigner) come before the losses.
    """
    apart = tuple(f'{name}.' for name, module in model.named_modules() if getattr(module, 'classes_of_its_own', False))
    found = [
        (name, module) for name, module in model.named_modules()
        if callable(getattr(module, 'bind_prior', None)) and 'rpn' not in name.split('.')[0]
        and not name.startswith(apart)
    ]
    found.sort(key=lambda item: not getattr(item[1], 'changes_samples', False))
    for _, module in found:
        module.bind_prior(ledger, counts)
    return [name for name, _ in found]
