"""Binary change detection: scores of the change class at one threshold, and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.metrics.change_probability import BINS, change_histogram, threshold_scores
from imbdense.core.metrics.change_scores import HistogramSums, binary_scores
from imbdense.core.metrics.change_states import UNKNOWN
from imbdense.core.metrics.confusion import confusion_table
from imbdense.mm.metrics.change_metric import ChangeMetric, Sums, Table, with_intervals, with_range
from imbdense.mm.metrics.change_sample import byte_map, change_probability, note_ignored
from imbdense.mm.metrics.dense_sample import field_of, place_of
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.mm.metrics.table_metric import Tally
from imbdense.registry import METRICS

SHOWN = ('F1', 'precision', 'recall', 'IoU', 'OA', 'kappa')


@METRICS.register_module()
class BCDMetric(ChangeMetric):
    """Precision, recall, F1, IoU of the change class, and average precision over all thresholds.

    Returned, in [0, 1]: ``bcd/F1, precision, recall, IoU`` of the change class alone; ``bcd/false_change`` (share of
    unchanged pixels called changed), ``OA, kappa``; the two-class means ``bcd/mIoU, mFscore`` and the same as
    ``binary/mIoU, binary/mFscore`` (open-cd's names); with ``sweep`` ``bcd/AP, AUROC, best_F1, best_threshold``; with
    ``ci`` ``<key>_lo`` and ``<key>_hi``. Kinds of change of a direct multi-class detector count as one class, but
    ``bcd/recall/<class>`` says of every labelled kind which share was called changed at all. 255 in the label is
    ignored. Scores of a set without any change are left out.

    Beside an SCDMetric, which returns ``bcd/...`` as well, give this metric a ``prefix`` or leave ``'bcd'`` out of the
    other's ``metrics``: the host refuses two values of one name.

    Args:
        threshold: probability from which a pixel is changed. 0.5 takes the model's own map (``pred_sem_seg``), any
            other needs ``seg_logits``.
        sweep: also count a histogram of 1024 bins of the probability, from ``seg_logits``. The best threshold is
            reported, never applied: one chosen on a test set makes its scores worthless.
        ci, ignore_index, collect_device, prefix: as in :class:`ChangeMetric`.

    Artefact: ``kind='binary_change'``, ``called`` (2, K), ``histogram`` (2, 1024), ``hectares`` where known.
    """

    card = 'change_metrics'
    tasks = ('segmentation', 'change_detection')
    located = ('bcd',)
    resampled = ('bcd',)

    def __init__(
        self,
        threshold: float = 0.5,
        sweep: bool = True,
        ignore_index: int = 255,
        ci: Mapping[str, Any] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(ci, ignore_index, collect_device, prefix)
        self.threshold = check_number('threshold', threshold, low=0.0, high=1.0, owner=type(self).__name__)
        self.sweep = sweep

    def read(self, sample: Mapping[str, Any]) -> Sequence[Tensor]:
        """Predicted change 0/1, labelled kind of change or 255, and the probability if it is needed."""
        owner = type(self).__name__
        label = byte_map(sample, 'gt_sem_seg', owner, self.ignore_index)
        if not self.sweep and self.threshold == 0.5:
            return [self._changed(sample), label]
        if 'seg_logits' not in sample:
            raise KeyError(
                f'{owner}: the sample of {place_of(sample)} has no seg_logits, which the sweep and a threshold other '
                f'than 0.5 need. Set sweep=False, or let predict() return them.'
            )
        channels = int(field_of(sample, 'seg_logits', owner).shape[0])
        if channels not in (1, len(self.classes)):
            raise ValueError(
                f'{owner}: the model gives {channels} channels for {place_of(sample)}, but the data set has the '
                f'{len(self.classes)} classes {self.classes}. Set num_classes of the decode head, or metainfo.classes.'
            )
        probability = change_probability(sample, owner)
        change = self._changed(sample) if self.threshold == 0.5 else (probability >= self.threshold).to(torch.uint8)
        return [change, label, probability]

    def _changed(self, sample: Mapping[str, Any]) -> Tensor:
        """The model's own map, all kinds of change as 1.

        Raises:
            ValueError: a class that the data set does not have.
        """
        predicted = byte_map(sample, 'pred_sem_seg', type(self).__name__)
        highest = int(predicted.max()) if predicted.numel() else 0
        if highest >= len(self.classes):
            raise ValueError(
                f'{type(self).__name__}: the prediction for {place_of(sample)} holds the class {highest}, but the data '
                f'set has C = {len(self.classes)} classes {self.classes}. Do class list and decode head fit?'
            )
        return predicted.clamp(max=1)

    def tabulate(self, *maps: Tensor) -> dict[str, NDArray[np.int64]]:
        """``called`` (2, K): called changed or not, by labelled kind; ``ignored`` (1,) pixels; and the histogram."""
        called = confusion_table(maps[0], maps[1], len(self.classes), ignore_index=UNKNOWN).T[:2]
        tables = {'called': called, 'ignored': np.array([maps[1].numel() - int(called.sum())])}
        return tables | {'histogram': change_histogram(maps[2], maps[1]).cpu().numpy()} if self.sweep else tables

    def sums(self, tables: Table) -> Sums:
        """The sums of the two-class table."""
        called = tables['called']
        return {'bcd': HistogramSums.of(np.stack([called[:, 0], called[:, 1:].sum(axis=1)], axis=1))}

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores, log and artefact."""
        tables = tally.tables
        scores = {name: float(value) for name, value in binary_scores(self.sums(tables)['bcd']).items()}
        scalars = {f'bcd/{name}': value for name, value in scores.items()}
        scalars |= {f'binary/{name}': scores[name] for name in ('mIoU', 'mFscore')}
        pixels = tables['called'].sum(axis=0)
        for kind, name in enumerate(self.classes):
            if kind and pixels[kind]:
                scalars[f'bcd/recall/{name}'] = int(tables['called'][1, kind]) / int(pixels[kind])
        if self.sweep:
            scalars |= {f'bcd/{name}': value for name, value in threshold_scores(tables['histogram']).items()}
        found, blocks = self.intervals(tables)
        scalars = with_intervals(scalars, found)
        area = self.hectares(tables, 'bcd')
        self.artifact = jsonable({
            'kind': 'binary_change', 'classes': self.classes, 'scalars': scalars, 'threshold': self.threshold,
            'called': tables['called'], 'histogram': tables.get('histogram'), 'intervals': found, 'blocks': blocks,
            'hectares': None if area is None else dict(zip(('labelled', 'predicted', 'hit'), _changed(area))),
        })  # fmt: skip
        notes = [note_ignored(int(tables['ignored'][0]), self.ignore_index)] if not pixels[1:].any() else []
        if self.sweep and not np.isnan(scalars['bcd/AP']):
            notes.append(
                f'AP {scalars["bcd/AP"]:.4f} (within {scalars["bcd/AP_lo"]:.4f} to {scalars["bcd/AP_hi"]:.4f}), best '
                f'F1 {scalars["bcd/best_F1"]:.4f} at {round(scalars["bcd/best_threshold"] * BINS)}/{BINS}.'
            )
        rows = [('change', *(with_range(f'bcd/{name}', scores[name], found) for name in SHOWN))]
        log_table('Changed or not, %', ('', *SHOWN), rows, [note for note in notes if note])
        return scalars


def _changed(area: HistogramSums) -> tuple[float, float, float]:
    """Labelled, predicted and rightly predicted change."""
    return float(area.labelled[1]), float(area.predicted[1]), float(area.agreed[1])
