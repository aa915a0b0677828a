"""``imbdense.NeuralCollapseHook``."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.metrics.class_scatter import ClassScatter
from imbdense.core.metrics.neural_collapse import (
    CollapseMeasures,
    count_disagreements,
    neural_collapse,
    tail_and_head,
)
from imbdense.core.stats import ClassCounts
from imbdense.mm.class_counts import default_unit
from imbdense.mm.hooks.classifier_watch import ClassifierWatch, Samples, effective_classifier
from imbdense.mm.hooks.collapse_record import decay_of, decay_pair, explain, history_file, read_history, record_of
from imbdense.mm.hooks.run_facts import dataset_meta, finite
from imbdense.mm.metrics.output import log_table
from imbdense.mm.prior import HUB_COUNTS
from imbdense.registry import HOOKS
from imbdense.utils.distributed import gather_objects, rank_and_world
from imbdense.utils.files import FileWriteError, atomic_write_json


@HOOKS.register_module()
class NeuralCollapseHook(Hook):
    """Measure while training whether the classes keep apart: neural collapse and minority collapse of the last layer.

    Every ``interval`` iterations and at the end: NC1 to NC4, the smallest angle between the classifier vectors of two
    tail classes, the lengths of tail against head vectors, and which classes the theory expects to vanish; see
    :func:`imbdense.core.metrics.neural_collapse.neural_collapse`. Logged as a table, as scalars ``collapse/<name>``
    for the visualiser, and to ``work_dir/imbdense/neural_collapse.json`` (one record per measurement; a resumed run
    goes on with the file).

    The samples are features that training computes anyway, of the iterations just before the measurement: the input
    of ``conv_seg``, ``fc_cls`` or ``cls_embed`` in front of the dropout (for a fixed frame: what it is multiplied
    with), with the labels the loss gets. Works with mmseg decode heads, RoI heads and query heads.

    Across ranks: each rank samples its own features; the statistics are gathered and joined exactly, every rank has
    the result. Training is not touched: no random number of it is drawn, no gradient flows.

    Args:
        interval: iterations between measurements.
        max_samples: samples of all ranks together; the iterations this takes are estimated from the first ones.
        sample: 'region' = one mean feature per (image, class); 'pixel' = at most 64 pixels of each. RoIs and queries
            are drawn, at most 64 per class and step.
        head: path of the head in the model; ``None`` = decode head, RoI head, or query head.
        weight_decay: (of W, of the features) in the theory, or one for both; ``None`` = the optimiser's decay of W for
            both. 0 leaves out what needs it.
        center: see :func:`~imbdense.core.metrics.neural_collapse.within_class_variation`.
        tail: names of the tail classes; ``None`` = the rarest third (at least two) by the counts of ``ClassCountHook``,
            without it by the samples.
        seed: of draws and of the projection of features wider than 512.
    """

    card = 'neural_collapse'
    tasks = ('segmentation', 'detection')
    priority = 'NORMAL'

    def __init__(
        self,
        interval: int = 1000,
        max_samples: int = 4096,
        sample: str = 'region',
        head: str | None = None,
        weight_decay: float | Sequence[float] | None = None,
        center: bool = True,
        tail: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        owner = 'NeuralCollapseHook'
        self.interval = check_integer('interval', interval, low=1, owner=owner)
        self.max_samples = check_integer('max_samples', max_samples, low=2, owner=owner)
        self.sample = check_choice('sample', sample, ('region', 'pixel'), owner=owner)
        self.head = head
        self.weight_decay = None if weight_decay is None else decay_pair(weight_decay)
        self.center = bool(center)
        self.tail = tail
        self.seed = seed
        self.history: list[dict[str, Any]] = []
        self._tap: ClassifierWatch | None = None
        self._chunks: deque[Samples] = deque()
        self._window = self.interval
        self._generator = torch.Generator()

    def before_train(self, runner: Any) -> None:
        """Find the head; read what an interrupted run measured."""
        self._tap = ClassifierWatch(getattr(runner.model, 'module', runner.model), self.head)
        self._chunks.clear()
        self._window = self.interval
        self._generator.manual_seed(self.seed + rank_and_world()[0])
        self.history = [record for record in read_history(runner) if record['step'] <= runner.iter]
        classes = self._classes(runner)
        unknown = [name for name in self.tail or () if name not in classes]
        if unknown:
            raise ValueError(f'NeuralCollapseHook: tail names the classes {unknown}; there are {classes}.')

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Record this iteration if it belongs to the samples of the next measurement."""
        if self._tap is not None:
            self._tap.armed = self._remaining(runner) <= self._window

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the samples; measure when it is time."""
        if self._tap is None or not self._tap.armed:
            return
        samples = self._tap.take(self.sample, self._generator)
        if samples is not None:
            self._add(samples)
        if self._remaining(runner) == 1:
            self._measure(runner)
            self._chunks.clear()

    def after_train(self, runner: Any) -> None:
        """Leave the model as it was."""
        if self._tap is not None:
            self._tap.remove()
            self._tap = None

    def _remaining(self, runner: Any) -> int:
        """Iterations up to and with the next measurement."""
        return min(self.interval - runner.iter % self.interval, runner.max_iters - runner.iter)

    def _add(self, samples: Samples) -> None:
        """Append a chunk; the oldest leave when there are enough without them. What is not finite is left out: a
        measurement does not end a training, ``NanGuardHook`` does."""
        finite_rows = torch.isfinite(samples[0]).all(dim=1)
        if not bool(finite_rows.any()):
            return
        samples = samples[0][finite_rows], samples[1][finite_rows]
        share = math.ceil(self.max_samples / rank_and_world()[1])
        self._chunks.append(samples)
        total = sum(len(labels) for _, labels in self._chunks)
        self._window = min(self.interval, math.ceil(share * len(self._chunks) / total) + 1)
        while total - len(self._chunks[0][1]) >= share:
            total -= len(self._chunks.popleft()[1])

    def _measure(self, runner: Any) -> None:
        """**Collective**: join the statistics of all ranks, compute, publish."""
        tap = self._tap
        weight, bias = effective_classifier(tap.classifier)
        own = ClassScatter(tap.num_classes, tap.dim, self.seed)
        for features, labels in self._chunks:
            own.update(features, labels)
        stats = ClassScatter(tap.num_classes, tap.dim, self.seed)
        for part in gather_objects(own):
            stats.merge(part)
        pairs = [
            count_disagreements(features, labels, stats.means, stats.counts, weight, bias)
            for features, labels in self._chunks
        ]
        totals = gather_objects((sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)))
        classes = self._classes(runner)
        tail, head = self._tail_and_head(runner, classes)
        decay = self.weight_decay or decay_of(runner, tap.classifier)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            found = neural_collapse(
                stats, weight, weight_decay=decay if decay and min(decay) > 0 else None, center=self.center,
                tail=tail, head=head, disagreement=(sum(pair[0] for pair in totals), sum(pair[1] for pair in totals)),
            )  # fmt: skip
        notes = [str(item.message) for item in caught]
        self._publish(runner, found, classes, notes)

    def _publish(self, runner: Any, found: CollapseMeasures, classes: list[str], notes: list[str]) -> None:
        """Table, scalars, file."""
        step = int(runner.iter) + 1
        self.history.append(finite(record_of(found, classes, step)))
        runner.visualizer.add_scalars(
            {f'collapse/{name}': value for name, value in found.scalars.items() if math.isfinite(value)}, step=step
        )
        if not is_main_process():
            return
        log_table(
            f'Neural collapse at iteration {step} ({sum(found.counts)} samples)', ('measure', 'value'),
            list(found.scalars.items()), notes + explain(found, classes),
        )  # fmt: skip
        content = {'format': 1, 'kind': 'neural_collapse', 'classes': classes, 'sample': self.sample,
                   'history': self.history}  # fmt: skip
        try:
            atomic_write_json(history_file(runner), content)
        except FileWriteError as error:
            MMLogger.get_current_instance().warning(f'NeuralCollapseHook: {error}')

    def _tail_and_head(self, runner: Any, classes: list[str]) -> tuple[list[int] | None, list[int] | None]:
        """By the counts of ClassCountHook, where they are of these classes; else ``None`` = by the samples."""
        record = runner.message_hub.runtime_info.get(HUB_COUNTS)
        tail, head = None, None
        if record and list(record['classes']) == classes[: len(record['classes'])]:
            counts = ClassCounts.from_dict(record)
            tail, head = tail_and_head(counts.of(default_unit(counts)).tolist())
        return (tail if self.tail is None else [classes.index(name) for name in self.tail]), head

    def _classes(self, runner: Any) -> list[str]:
        """One name per classifier vector; what comes after the classes of the data is the background."""
        names = [str(name) for name in dataset_meta(runner).get('classes') or ()][: self._tap.num_classes]
        rest = range(len(names), self._tap.num_classes)
        return names + ['background' if names and index == rest[-1] else f'class {index}' for index in rest]
