"""``imbdense.DatasetShiftHook``."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.shift import ADVICE, PoolSample, ShiftReport, measure_shift
from imbdense.mm.hooks.branch_features import (
    branch_items,
    branched,
    image_key,
    only_looking,
    sample_objects,
    single_batch,
    unlabelled_branch,
)
from imbdense.mm.hooks.pool_weights import PoolWeights
from imbdense.mm.inference.layer_tap import LayerTap, whole_pictures
from imbdense.mm.inference.pool import Reading, seen_share
from imbdense.mm.inference.pool_collector import PER_IMAGE, PoolCollector
from imbdense.mm.views import WEIGHT_KEY
from imbdense.registry import HOOKS
from imbdense.utils.distributed import gather_objects, rank_and_world


@HOOKS.register_module()
class DatasetShiftHook(Hook):
    """Measure while training whether the unlabelled images look like the labelled ones, and warn.

    Every ``interval`` iterations the features of ``layer`` and the predictions on labelled and (weakly augmented)
    unlabelled images of the iterations just before are compared, see :func:`imbdense.core.shift.measure_shift`. Logged:
    ``shift/fd_inf`` (Fréchet distance without bias), ``shift/p`` and ``shift/tv_prior`` (half the absolute difference
    of the class shares); a warning where a shift is found. For batches of ``imbdense.SemiDataset`` with
    ``imbdense.MultiViewSeg`` and of mmdet's multi-branch pipelines (``inputs = {'sup': [...], ...}``). An image that
    comes again counts as the same image.

    The images are looked at one by one in evaluation mode without gradients before the training step; with
    ``action='warn'`` training is not changed by a bit. ``action='downweight'`` also writes a weight into every
    unlabelled data sample of each iteration after the first measurement::

        weight = sample.metainfo.get('shift_weight', 1.0)        # exp(-max(0, z - 2)), mean 1 over the pool

    z is how many standard deviations the Mahalanobis distance of the image's mean feature from the labelled ones lies
    above that of left-out labelled images (Ledoit-Wolf covariance of the last images, fitted anew every 20 iterations).
    ``imbdense.SemiSegmentor`` multiplies the unsupervised terms of the image by it; the semi-supervised detectors,
    whose heads join the objects of all images before they make a loss, ignore it. Costs a forward pass of both branches
    in every iteration.

    Across ranks: for a measurement the images of all ranks are joined, every rank computes the same; weights are those
    of the rank's own images. Nothing is saved: after a resume the next measurement comes at the next multiple of
    ``interval``, weights are absent until then.

    Args:
        interval: iterations between measurements. layer: path of a layer with feature maps, for example
            'backbone.layer4'; ``None`` = the last map of the backbone.
        max_vectors: feature vectors per side and measurement, 50 per image.
        action: 'warn' or 'downweight'.
        labelled, unlabelled: names of the branches; ``None`` = 'unsup_weak', 'unsup_teacher', 'unsup', or the first
            other one.
        seed: of the draws.
    """

    card = 'dataset_shift'
    tasks = ('segmentation', 'detection')
    priority = 'NORMAL'

    def __init__(
        self,
        interval: int = 2000,
        layer: str | None = None,
        max_vectors: int = 20_000,
        action: str = 'warn',
        labelled: str = 'sup',
        unlabelled: str | None = None,
        seed: int = 0,
    ) -> None:
        owner = 'DatasetShiftHook'
        self.interval = check_integer('interval', interval, low=1, owner=owner)
        self.max_vectors = check_integer('max_vectors', max_vectors, low=PER_IMAGE, owner=owner)
        self.action = check_choice('action', action, ('warn', 'downweight'), owner=owner)
        self.layer, self.labelled, self.unlabelled, self.seed = layer, labelled, unlabelled, seed
        self.report: ShiftReport | None = None
        self._reading: Reading | None = None
        self._sides: tuple[PoolCollector, PoolCollector] | None = None
        self._window = self.interval
        self._weights: PoolWeights | None = None
        self._number = self._batches = 0

    def before_train(self, runner: Any) -> None:
        """Find the layer and the head, so that a wrong name ends the run at its start."""
        model = getattr(runner.model, 'module', runner.model)
        LayerTap(model, self.layer).remove()
        self._reading = Reading.of(model, int(getattr(runner.train_dataloader.dataset, 'ignore_index', 255)))
        self._sides, self.report, self._window = None, None, self.interval
        if self.action == 'downweight':
            self._weights = PoolWeights(math.ceil(self.max_vectors / PER_IMAGE), self.seed)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Collect, measure when it is time, write the weights."""
        left = self.interval - runner.iter % self.interval  # iterations up to and with the measurement
        if left > self._window:
            self._sides = None
            if self._weights is None:
                return
        model = getattr(runner.model, 'module', runner.model)
        data_batch = branched(data_batch)
        if self.unlabelled is None:
            branch_items(data_batch, self.labelled)
            self.unlabelled = unlabelled_branch(data_batch, self.labelled)
        with only_looking(model), whole_pictures(model), LayerTap(model, self.layer) as tap:
            if left <= self._window:
                self._collect(model, tap, data_batch)
            if self._weights is not None:
                self._write_weights(model, tap, data_batch)
        if left == 1:
            self._measure(runner)

    def _collect(self, model: Any, tap: LayerTap, data_batch: Any) -> None:
        """Both branches of one batch."""
        images = math.ceil(self.max_vectors / PER_IMAGE)
        if self._sides is None:
            classes = self._reading.num_classes
            self._sides = tuple(PoolCollector(classes, images, self.max_vectors, self.seed) for _ in range(2))
            self._batches = 0
        rank, world = rank_and_world()
        for branch, collector in zip((self.labelled, self.unlabelled), self._sides):
            for image, sample in branch_items(data_batch, branch):
                batch = single_batch(image, sample)
                objects = sample_objects(batch['data_samples'][0]) if branch == self.labelled else None
                found = model.test_step(batch)[0]
                maps, size = tap.take()
                self._number += 1
                key = image_key(sample, self._number * world + rank)
                self._reading.add(collector, key, maps[0], size, found, branch == self.labelled, objects)
        self._batches += 1
        per_batch = min(len(collector.images) for collector in self._sides) / self._batches
        if per_batch > 0:  # the window that brings enough images of the side with fewer
            self._window = min(self.interval, math.ceil(images / world / per_batch) + 1)

    def _measure(self, runner: Any) -> None:
        """**Collective**: join the images of all ranks, compare, log, warn."""
        parts = gather_objects(self._sides)
        self._sides = None
        labelled, unlabelled = parts[0]
        for own, other in parts[1:]:
            labelled.merge(own)
            unlabelled.merge(other)
        if not labelled.images or not unlabelled.images:
            self._log(runner, 'no images of both branches came before this measurement')
            return
        sides = [collector.sample() for collector in (labelled, unlabelled)]
        # Only what is logged: classes by themselves and a forecast are for `imbdense check pool`.
        plain = [PoolSample(side.vectors, side.group, outputs=side.outputs) for side in sides]
        classes = [str(index) for index in range(self._reading.num_classes)]
        self.report = measure_shift(*plain, classes, bootstraps=0, forecast=False, seed=self.seed)
        self._publish(runner, self.report)

    def _publish(self, runner: Any, report: ShiftReport) -> None:
        """Scalars, and the warning."""
        prior = math.nan if report.prior is None else report.prior.total_variation
        scalars = {
            'shift/fd_inf': report.features.fd_inf, 'shift/p': report.features.p_value, 'shift/tv_prior': prior
        }
        step = int(runner.iter) + 1
        runner.visualizer.add_scalars({k: v for k, v in scalars.items() if math.isfinite(v)}, step=step)
        numbers = ', '.join(f'{name} {value:.4g}' for name, value in scalars.items())
        text = f'{report.images[0]} labelled and {report.images[1]} unlabelled images: {report.verdict}; {numbers}'
        if report.features.reason:
            text += f' ({report.features.reason})'
        self._log(runner, text)
        if report.verdict == 'shift':
            MMLogger.get_current_instance().warning(
                f'DatasetShiftHook: the unlabelled images differ from the labelled ones (FD_inf '
                f'{report.features.fd_inf:.3g}, p = {report.features.p_value:.3g}). {ADVICE} `imbdense check pool` '
                f'tells which classes and images.'
            )

    def _log(self, runner: Any, text: str) -> None:
        """One line."""
        MMLogger.get_current_instance().info(f'DatasetShiftHook, iteration {int(runner.iter) + 1}: {text}')

    def _write_weights(self, model: Any, tap: LayerTap, data_batch: Any) -> None:
        """Weight of every unlabelled image of this batch into its samples of all unlabelled branches."""
        labelled, pool = (self._features(model, tap, data_batch, name) for name in (self.labelled, self.unlabelled))
        self._weights.add(labelled, pool)
        weights = self._weights.of(pool) if pool and self.report is not None else None
        if weights is None:
            return
        for branch in data_batch['data_samples']:
            if branch != self.labelled:
                for (_, sample), weight in zip(branch_items(data_batch, branch), weights.tolist(), strict=True):
                    sample.set_metainfo({WEIGHT_KEY: weight})

    def _features(self, model: Any, tap: LayerTap, data_batch: Any, branch: str) -> list[Any]:
        """Mean feature of every image of a branch."""
        collector = PoolCollector(self._reading.num_classes, 1, seed=self.seed)
        for number, (image, sample) in enumerate(branch_items(data_batch, branch)):
            found = model.test_step(single_batch(image, sample))[0]
            maps, size = tap.take()
            collector.add_features(number, maps[0], seen_share(found, size))
        return collector.means
