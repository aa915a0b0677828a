"""``imbdense.PriorEstimateHook``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.checks import check_integer
from imbdense.core.pseudo_label import TargetPrior
from imbdense.core.shift import ClassOutputs, PriorShift, estimate_prior_shift, usable_prior
from imbdense.mm.dataset_wrappers import image_files
from imbdense.mm.freezing import unwrapped
from imbdense.mm.hooks.held_out import HeldOut, HeldOutImages, check_held_out
from imbdense.mm.inference.pool_collector import drawn_outputs
from imbdense.mm.predictor import file_record, label_free_pipeline
from imbdense.registry import HOOKS
from imbdense.utils.distributed import gather_objects

PER_CLASS = 64
"""Pixels of each class of an image that are looked at."""


@HOOKS.register_module()
class PriorEstimateHook(Hook):
    """Estimate the class shares of the unlabelled images while training, for whatever is aligned to them.

    After every ``interval`` iterations the network that predicts is run over held-out labelled images and over
    unlabelled ones, and :func:`imbdense.core.shift.estimate_prior_shift` (expectation maximisation on calibrated
    probabilities, black-box shift estimation as a cross-check) tells the shares of the unlabelled ones. They go to
    every refiner and rule with ``target='bbse'`` / ``expected='bbse'`` (all
    :class:`~imbdense.core.pseudo_label.TargetPrior` that wait for an estimate). Until the first estimate these change
    nothing. A class whose share cannot be told keeps the share of the held-out labels, and is named in the log, see
    :func:`imbdense.core.shift.usable_prior`.

    Logged: ``prior/<class>``, ``shift/tv_prior``.

    State: the estimate lies in the buffers of the refiners, in every checkpoint. The draws depend on seed and iteration
    alone, so a resumed run goes on with the same estimates. Ranks: each takes its part of the images; the outputs are
    joined, so all ranks (and any number of them) estimate the same.

    Args:
        interval: iterations between two estimates.
        held_out: config of a labelled data set that is not trained on, or 'val', that of ``val_dataloader``. Only its
            table of predictions against labels enters training, but a validation set used here is no longer untouched:
            give a data set of its own for numbers that are published.
        max_images: images drawn per side and estimate.
        seed: of the draws.

    Raises:
        ValueError: before training, when nothing in the model waits for an estimate, the training data have no
            unlabelled part (``imbdense.SemiDataset``), or the held-out data have other classes or are empty.
    """

    card = 'distribution_alignment'
    tasks = ('segmentation',)
    priority = 'NORMAL'

    def __init__(
        self, interval: int = 1000, held_out: HeldOut = 'val', max_images: int = 200, seed: int = 0
    ) -> None:
        owner = 'PriorEstimateHook'
        self.interval = check_integer('interval', interval, low=1, owner=owner)
        self.max_images = check_integer('max_images', max_images, low=1, owner=owner)
        self.held_out, self.seed = check_held_out(held_out, owner), seed
        self.estimate: PriorShift | None = None

    def before_train(self, runner: Any) -> None:
        """Find who waits for the estimate, and build the held-out data set."""
        model = unwrapped(runner.model)
        self._targets = [m for m in model.modules() if isinstance(m, TargetPrior) and m.wants_estimate]
        if not self._targets:
            raise ValueError(
                "PriorEstimateHook: nothing in the model waits for an estimate. Set target='bbse' of a refiner "
                "(imbdense.DistributionAlign) or expected='estimated' of imbdense.ExpectedShareThreshold."
            )
        pool = getattr(runner.train_dataloader.dataset, 'unlabeled', None)
        if pool is None:
            raise ValueError(
                f'PriorEstimateHook: the training data ({type(runner.train_dataloader.dataset).__name__}) have no '
                f'unlabelled part; they must be an imbdense.SemiDataset.'
            )
        self._held_out = HeldOutImages(runner, self.held_out, model, 'PriorEstimateHook')
        files = image_files(pool)
        pipeline = label_free_pipeline(self._held_out.config)
        self._pool = len(files), lambda index: pipeline(file_record(files[index]))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Estimate after every ``interval`` iterations."""
        if runner.iter > 0 and runner.iter % self.interval == 0:
            self._estimate(runner)

    def _estimate(self, runner: Any) -> None:
        """**Collective**: both sides, the estimate, hand it on, log."""
        model = unwrapped(runner.model)
        labelled = self._outputs(model, 0, runner.iter, len(self._held_out), None)
        pool = self._outputs(model, 1, runner.iter, *self._pool)
        found = self.estimate = estimate_prior_shift(labelled, pool, bootstraps=0, seed=self.seed)
        prior = usable_prior(found, pool)
        for target in self._targets:
            target.set_prior(prior)
        classes = self._held_out.classes
        scalars = {f'prior/{name}': float(share) for name, share in zip(classes, prior, strict=True)}
        if math.isfinite(found.total_variation):
            scalars['shift/tv_prior'] = found.total_variation
        runner.visualizer.add_scalars(scalars, step=int(runner.iter))
        lines = [
            f'  {name}: {100 * share:.3g} % of the unlabelled images, {100 * own:.3g} % of the held-out labels'
            + ('' if status == 'ok' else f' ({status})')
            for name, share, own, status in zip(classes, prior, found.labelled, found.status, strict=True)
        ]
        MMLogger.get_current_instance().info(
            f'PriorEstimateHook: class shares before iteration {int(runner.iter) + 1}:\n' + '\n'.join(lines)
        )

    def _outputs(
        self, model: Any, side: int, iteration: int, count: int, load: Callable[[int], Any] | None
    ) -> ClassOutputs:
        """Outputs of drawn images, of all ranks, in the order of the images."""
        rng = np.random.default_rng((self.seed, side, iteration))
        chosen = np.sort(rng.permutation(count)[: self.max_images]).tolist()
        parts = []
        for index, logits, label in self._held_out.look(model, chosen, load):
            draw = np.random.default_rng((self.seed, side, iteration, index))
            parts.append((index, drawn_outputs(logits.cpu().numpy(), label, index, PER_CLASS, draw)))
        joined = sorted((part for own in gather_objects(parts) for part in own), key=lambda part: part[0])
        return ClassOutputs.concat([outputs for _, outputs in joined])
