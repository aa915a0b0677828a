"""``imbdense.ReportHook``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from imbdense.core.checks import check_integer
from imbdense.core.stats import PriorLedger
from imbdense.mm.hooks.kept_images import KeptImages
from imbdense.mm.hooks.kept_pictures import write_pictures
from imbdense.mm.hooks.run_facts import dataset_meta, finite, run_facts
from imbdense.mm.hooks.sample_views import sample_boxes, sample_labels
from imbdense.mm.prior import HUB_COUNTS, HUB_LEDGER
from imbdense.registry import HOOKS
from imbdense.utils.files import FileWriteError, atomic_write_json

FOLDER = 'imbdense'
OWN_FILES = re.compile(r'^(run\.json|neural_collapse\.json|worst|per_image_\w+\.json|(val|test)_\d+_\w+\.json)$')


@HOOKS.register_module()
class ReportHook(Hook):
    """Leave in the work dir everything ``imbdense report`` needs; works with any segmentor, detector and metric.

    Written to ``<work_dir>/imbdense/`` (rank 0, every file atomically):

    * ``run.json``: config, its hash without the seed, seed, versions, machine, classes, class counts and prior ledger
      (from ``ClassCountHook``), start and end. Renewed at every evaluation; a resumed run keeps its first start.
    * ``<split>_<step>_metrics.json`` after every validation and test: all returned scalars; and
      ``<split>_<step>_<kind>.json`` for every metric that has an ``artifact``. NaN is written as ``null``.
      A training that starts anew in a used work dir moves older files to ``earlier_<start>/``.
    * ``worst/``: pictures of the last evaluation for the rarest classes: the images where each went most wrong and
      fixed ones for before and after.

    Cost: one bincount per evaluated image. Memory: ``2 * rare * images`` compressed label windows (about 20 kB each);
    for all classes when nobody counted the training labels. Across ranks: the kept windows are gathered once per
    evaluation. A file that cannot be written is a warning, never the end of a training.

    Args:
        rare: keep images for at most this many of the rarest classes, and for at most a third of all.
        images: images per class.
        window: side in pixels of the kept part of large images, round the errors.
    """

    card = 'report'
    tasks = ('segmentation', 'detection')
    priority = 'LOW'

    def __init__(self, rare: int = 5, images: int = 3, window: int = 512) -> None:
        self.rare = check_integer('rare', rare, low=0, owner='ReportHook')
        self.images = check_integer('images', images, low=1, owner='ReportHook')
        self.window = check_integer('window', window, low=32, owner='ReportHook')
        self._kept: KeptImages | None = None
        self._index: dict[str, int] | None = None
        self._loaded_step = 0
        self._started: str | None = None
        self._training = False

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember the iteration of a checkpoint, so that a test is filed under it."""
        meta = checkpoint.get('meta')
        step = meta.get('iter') if isinstance(meta, dict) else None
        self._loaded_step = step if isinstance(step, int) else 0

    def before_train(self, runner: Any) -> None:
        """Write run.json as soon as the counts are known; files of an earlier training are set aside."""
        self._training = True
        if is_main_process() and int(runner.iter) == 0:
            set_aside(Path(runner.work_dir) / FOLDER)
        self._write_run(runner)

    def after_train(self, runner: Any) -> None:
        """Note the end."""
        self._write_run(runner, finished=True)

    def before_val_epoch(self, runner: Any) -> None:
        """Start to look at images."""
        self._begin(runner)

    def before_test_epoch(self, runner: Any) -> None:
        """Start to look at images."""
        self._begin(runner)

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Look at the predictions of a batch."""
        self._look(outputs, runner.val_dataloader.dataset)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Look at the predictions of a batch."""
        self._look(outputs, runner.test_dataloader.dataset)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Write the validation."""
        self._write_evaluation(runner, 'val', metrics or {}, runner.val_evaluator)

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Write the test."""
        self._write_evaluation(runner, 'test', metrics or {}, runner.test_evaluator)

    def _begin(self, runner: Any) -> None:
        """Forget the images of the previous evaluation."""
        classes = dataset_meta(runner).get('classes') or ()
        counts = _counts(runner, classes)
        limit = self._limit(len(classes))
        watched = range(len(classes)) if counts is None else rarest(counts, limit)
        self._kept = (
            KeptImages(len(classes), list(watched), self.images, self.window) if classes and self.rare else None
        )
        self._index = None

    def _look(self, outputs: Sequence[Any] | None, dataset: Any) -> None:
        """Offer every sample of a batch."""
        if self._kept is None or not self._kept.num_classes:
            return
        for sample in outputs or ():
            labels = sample_labels(sample)
            if labels is not None:
                self._kept.add_labels(*labels)
                continue
            if self._index is None:
                self._index = {dataset.get_data_info(i).get('img_path', ''): i for i in range(len(dataset))}
            boxes = sample_boxes(sample, dataset, self._index, self._kept.num_classes)
            if boxes is not None:
                self._kept.add_boxes(*boxes)

    def _write_evaluation(self, runner: Any, split: str, metrics: dict[str, float], evaluator: Any) -> None:
        """Files of one evaluation and the pictures."""
        kept, self._kept = self._kept, None
        if kept is not None:
            gathered = all_gather_object(kept)
            kept = gathered[0].merge(gathered[1:])
        if not is_main_process():
            return
        step = int(runner.iter) or self._loaded_step
        folder = Path(runner.work_dir) / FOLDER
        try:
            record = {'format': 1, 'split': split, 'step': step, 'scalars': finite(metrics)}
            atomic_write_json(folder / f'{split}_{step}_metrics.json', record)
            for kind, artifact in artifacts(evaluator):
                per_image = artifact.pop('per_image', None)
                if per_image:
                    atomic_write_json(folder / f'per_image_{split}.json', finite(per_image), indent=None)
                record = {'format': 1, 'split': split, 'step': step, 'artifact': finite(artifact)}
                atomic_write_json(folder / f'{split}_{step}_{kind}.json', record, indent=None)
            if kept is not None:
                names = [str(name) for name in dataset_meta(runner)['classes']]
                write_pictures(kept, names, self._shown(runner, kept, names), folder / 'worst', split, step)
            self._write_run(runner, finished=not self._training and split == 'test')
        except FileWriteError as error:
            MMLogger.get_current_instance().warning(f'ReportHook: {error}')

    def _shown(self, runner: Any, kept: KeptImages, names: list[str]) -> list[int]:
        """The classes whose pictures are written, rarest first."""
        counts = _counts(runner, names)
        return rarest(kept.truth if counts is None else counts, self._limit(len(names)))

    def _limit(self, num_classes: int) -> int:
        """At most a third of the classes are rare; at least one."""
        return min(self.rare, max(round(num_classes / 3), 1))

    def _write_run(self, runner: Any, finished: bool = False) -> None:
        """Write or renew run.json on rank 0; a test run only adds to that of its training."""
        if not is_main_process():
            return
        path = Path(runner.work_dir) / FOLDER / 'run.json'
        before = _read(path)
        now = datetime.now().isoformat(timespec='seconds')
        if self._started is None:
            goes_on = self._training and int(runner.iter) > 0
            self._started = str(before.get('started') or now) if goes_on else now
        facts = run_facts(runner)
        info = runner.message_hub.runtime_info
        if HUB_COUNTS in info:
            facts['class_counts'] = info[HUB_COUNTS]
        if HUB_LEDGER in info:
            facts['ledger'] = PriorLedger.from_dict(info[HUB_LEDGER]).describe()
        facts.update(started=self._started, updated=now, finished=now if finished else None)
        if not self._training and before:
            facts |= {key: value for key, value in before.items() if value not in (None, [], '')}
        try:
            atomic_write_json(path, facts)
        except FileWriteError as error:
            MMLogger.get_current_instance().warning(f'ReportHook: {error}')


def set_aside(folder: Path) -> None:
    """Move the files of an earlier training to ``earlier_<start>``, so that two runs in a work dir do not mix."""
    old = [path for path in folder.glob('*') if OWN_FILES.match(path.name)]
    if not old:
        return
    started = re.sub('[^0-9]', '', str(_read(folder / 'run.json').get('started', '')))
    target = folder / f'earlier_{started or "unknown"}'
    while target.exists():
        target = target.with_name(target.name + '_')
    target.mkdir(parents=True)
    for path in old:
        path.rename(target / path.name)


def rarest(counts: np.ndarray, limit: int) -> list[int]:
    """Indices of at most ``limit`` classes with the fewest samples, rarest first; classes without one are left out."""
    order = np.argsort(counts, kind='stable')
    return [int(c) for c in order if counts[c] > 0][:limit]


def artifacts(evaluator: Any) -> list[tuple[str, dict[str, Any]]]:
    """(kind, copy of the artefact) of every metric that has one; a second of the same kind gets a number."""
    found: list[tuple[str, dict[str, Any]]] = []
    seen: Counter[str] = Counter()
    for metric in getattr(evaluator, 'metrics', ()):
        artifact = getattr(metric, 'artifact', None)
        if isinstance(artifact, dict) and artifact:
            kind = str(artifact.get('kind', type(metric).__name__)).replace('-', '_')
            seen[kind] += 1
            found.append((kind if seen[kind] == 1 else f'{kind}_{seen[kind]}', dict(artifact)))
    return found


def _counts(runner: Any, classes: Sequence[str]) -> np.ndarray | None:
    """Training counts of ``ClassCountHook``, in the order of ``classes``; ``None`` without them."""
    record = runner.message_hub.runtime_info.get(HUB_COUNTS)
    if not record or not set(classes) <= set(record['classes']):
        return None
    unit = next((name for name in ('pixels', 'instances', 'images') if record.get(name)), None)
    if unit is None:
        return None
    return np.asarray([record[unit][list(record['classes']).index(name)] for name in classes])


def _read(path: Path) -> dict[str, Any]:
    """What an earlier process wrote; {} when nothing readable is there."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
