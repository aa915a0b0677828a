"""``imbdense.ProgressHook``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from imbdense.core.checks import check_integer, check_number
from imbdense.core.metrics.groups import GroupSpec, group_means
from imbdense.core.metrics.learning_progress import loss_at_equal_head_loss, steps_to_reach
from imbdense.core.stats import ImageClassTable
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.hooks.probe_scores import Probe, SegmentationProbe
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.registry import HOOKS
from imbdense.utils.files import atomic_write_json

FILE = Path('imbdense') / 'progress.json'
HEAD_LOSS_LEVELS = (1.0, 0.5, 0.2, 0.1, 0.05)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Follow how fast each class is learned, on the same few images all through a training.

    The probe: up to ``per_class`` validation images per class, spread over the data set, loaded once through the
    validation pipeline. Before training and every ``interval`` iterations the model is asked about them in evaluation
    mode; per class c: mean cross-entropy, mean score of c and recall over the samples of c. A class without a sample
    in the probe is NaN and in no mean.

    Segmentors: samples are pixels (of sigmoid outputs the two-class cross-entropy; of MaskFormer heads -log of the
    normalised score). Detectors: what the class loss of the head learns class c from (anchors, points, RoIs, queries,
    by its own assigner; see :class:`~imbdense.mm.hooks.probe_detections.DetectionProbe`), so for dense, RoI and query
    heads alike.

    ``<work_dir>/imbdense/progress.json`` (atomic, rank 0) holds the curves and what they say: the first measurement
    after the start at which the recall of each class and the mean recall of each frequency group is ``threshold``
    (``null`` = never; a single class may reach it early by chance, when the model calls nearly everything so),
    and the tail loss and its ratio to the head loss when the head loss first comes down to 1, .5, .2, .1, .05. The last
    lets optimizers be compared that differ in speed. Group means are logged as ``progress/recall_<group>``,
    ``progress/loss_<group>`` and ``progress/score_<group>``; the table of iterations is printed after training.

    The training is not disturbed: no random number is drawn, the mode of the model is put back. A resumed run goes on
    with the curves up to its checkpoint. Ranks: rank 0 measures, the others wait at the next gradient exchange.

    Args:
        interval: iterations between two measurements. per_class: images per class.
        threshold: recall in (0, 1] that counts as learned.
        groups: see :func:`imbdense.core.metrics.groups.make_groups`; two groups must be called head and tail for the
            ratio. class_counts, count: where the counts behind the groups are from, as in ``ConfusionMetric``; the
            unit is ``'pixels'`` for segmentors and ``'instances'`` for detectors unless it is given.

    Raises:
        ValueError: no validation set, or a detector without a class loss over labelled samples (CenterNet).
    """

    card = 'muon'
    tasks: tuple[str, ...] = ('segmentation', 'detection')

    def __init__(
        self,
        interval: int = 500,
        per_class: int = 4,
        threshold: float = 0.5,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str | None = None,
    ) -> None:
        self.interval = check_integer('interval', interval, low=1, owner='ProgressHook')
        self.per_class = check_integer('per_class', per_class, low=1, owner='ProgressHook')
        self.threshold = check_number('threshold', threshold, low=0.0, high=1.0, low_open=True, owner='ProgressHook')
        self.groups, self.class_counts, self.count = groups, class_counts, count
        self._probe: Probe | None = None
        self._curves: list[dict[str, Any]] = []

    def before_train(self, runner: Any) -> None:
        """Load the probe, keep the curves of the run that is resumed, measure the start."""
        if not is_main_process():
            return
        self._probe = make_probe(runner, self.per_class)
        self._curves = read_curves(Path(runner.work_dir) / FILE, until=runner.iter)
        if not self._curves:
            self._measure(runner, runner.iter)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Measure where it is due."""
        if self._probe is not None and (runner.iter + 1) % self.interval == 0:
            self._measure(runner, runner.iter + 1)

    def after_train(self, runner: Any) -> None:
        """Print when each group was learned."""
        if self._probe is None:
            return
        record = self._record(runner)
        reached = record['steps_to_recall']['groups']
        last = record['curves'][-1]
        rows = [
            (name, 'never' if step is None else step, _mean(last['recall'], members), _mean(last['loss'], members))
            for (name, members), step in zip(record['groups'].items(), reached.values())
        ]
        title = f'iterations until the mean recall of a group is {self.threshold:g} ({self._probe.images} probe images)'
        log_table(title, ('group', 'iterations', 'recall now', 'loss now'), rows)

    def _measure(self, runner: Any, step: int) -> None:
        """One point of the curves; write the file, log the group means."""
        if self._probe is None:
            return
        found = self._probe.measure(getattr(runner.model, 'module', runner.model))
        curves = {'recall': found.recall, 'loss': found.loss, 'score': found.score}
        self._curves.append({'iter': step, **{key: values.tolist() for key, values in curves.items()}})
        record = self._record(runner)
        atomic_write_json(Path(runner.work_dir) / FILE, jsonable(record))
        for name, members in record['groups'].items():
            for key, values in curves.items():
                mean = _mean(values, members)
                if not math.isnan(mean):
                    runner.message_hub.update_scalar(f'train/progress/{key}_{name}', mean)

    def _record(self, runner: Any) -> dict[str, Any]:
        """The content of the file."""
        if self._probe is None:
            raise RuntimeError('ProgressHook: before_train was not called.')
        classes = self._probe.classes
        unit = self._probe.unit
        count = self.count or ('pixels' if unit == 'pixels' else 'instances')
        groups, _ = resolve_groups(
            self.groups, self.class_counts, count, classes, self._probe.counted, f'{unit} of the probe'
        )
        names = list(groups.members)
        loss = [group_means(point['loss'], groups) for point in self._curves]
        trained = [point for point in self._curves if point['iter'] > 0]  # before, recall is chance
        steps = [point['iter'] for point in trained]
        of_classes = np.array([point['recall'] for point in trained]).reshape(len(steps), len(classes))
        means = [group_means(row, groups) for row in of_classes]
        of_groups = np.array([[row[name] for name in names] for row in means]).reshape(len(steps), len(names))
        by_class = steps_to_reach(steps, of_classes, self.threshold)
        by_group = steps_to_reach(steps, of_groups, self.threshold)
        record: dict[str, Any] = {
            'kind': 'progress',
            'classes': list(classes),
            'groups': groups.members,
            'counts_source': groups.source,
            'threshold': self.threshold,
            'probe': {'images': self._probe.images, unit: self._probe.counted.tolist()},
            'curves': self._curves,
            'steps_to_recall': {'classes': dict(zip(classes, by_class)), 'groups': dict(zip(names, by_group))},
        }
        if {'head', 'tail'} <= set(names):
            head, tail = ([point[name] for point in loss] for name in ('head', 'tail'))
            found = loss_at_equal_head_loss(head, tail, HEAD_LOSS_LEVELS)
            record['at_head_loss'] = [
                {'head_loss': level, 'tail_loss': value, 'ratio': None if value is None else value / level}
                for level, value in zip(HEAD_LOSS_LEVELS, found)
            ]
        return record


def make_probe(runner: Any, per_class: int) -> Probe:
    """Choose and load the images.

    Raises:
        ValueError: the run has no validation set.
    """
    from imbdense.mm.datasets.label_source import dataset_classes, is_detection
    from imbdense.mm.datasets.statistics import class_table

    if runner._val_dataloader is None:
        raise ValueError('ProgressHook: the run has no val_dataloader; the probe is taken from the validation set.')
    dataset = runner.val_dataloader.dataset
    classes = dataset_classes(dataset)
    images = probe_images(class_table(dataset), per_class)
    if is_detection(next(leaves(dataset))):
        from imbdense.mm.hooks.probe_detections import DetectionProbe
        from imbdense.mm.inference.save_outputs import image_objects

        objects = [image_objects(dataset.get_data_info(index)) for index in images]
        return DetectionProbe([dataset[index] for index in images], objects, classes)
    batches = [pseudo_collate([dataset[index]]) for index in images]
    return SegmentationProbe(batches, classes, int(getattr(dataset, 'ignore_index', 255)))


def probe_images(table: ImageClassTable, per_class: int) -> list[int]:
    """Up to ``per_class`` images of every class, evenly spread over the images that hold it; sorted, each once."""
    chosen: set[int] = set()
    for klass in range(table.num_classes):
        having = table.images_of(klass)
        places = np.linspace(0, having.size - 1, min(per_class, having.size)).round().astype(int)
        chosen.update(having[places].tolist())
    return sorted(chosen)


def read_curves(path: Path, until: int) -> list[dict[str, Any]]:
    """Points of an earlier part of the run, up to iteration ``until``; none for a run that starts."""
    if until == 0 or not path.is_file():
        return []
    points = json.loads(path.read_text(encoding='utf-8'))['curves']
    plain = [
        {key: value if key == 'iter' else [math.nan if item is None else item for item in value]
         for key, value in point.items()}
        for point in points
    ]  # fmt: skip
    return [point for point in plain if point['iter'] <= until]


def _mean(values: Any, members: Any) -> float:
    """Mean over the members that are not NaN."""
    picked = np.asarray(values, dtype=np.float64)[list(members)]
    picked = picked[~np.isnan(picked)]
    return float(picked.mean()) if picked.size else math.nan
