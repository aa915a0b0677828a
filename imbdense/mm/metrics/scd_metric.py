"""Semantic change detection: both protocols of SeK, both named, from one count per pair of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.metrics import change_tables
from imbdense.core.metrics.change_scores import HistogramSums
from imbdense.core.metrics.change_states import MOST_CLASSES, change_states, count_state_pairs
from imbdense.mm.metrics.change_metric import ChangeMetric, Sums, Table
from imbdense.mm.metrics.change_sample import byte_map, label_change
from imbdense.mm.metrics.scd_report import report_change
from imbdense.mm.metrics.table_metric import Tally
from imbdense.registry import METRICS

PROTOCOLS = ('sem', 'from_to')
CHOICES = ('oa', 'miou', 'sek', 'fscd', 'kappa', 'bcd', 'transitions', 'long_tail')


@METRICS.register_module()
class SCDMetric(ChangeMetric):
    """SeK, F_scd, mIoU and transitions of semantic change, in the protocols ``sem`` and ``from_to``.

    The two protocols give different numbers for the same maps, and published tables do not say which they use. ``sem``
    (Bi-SRNet, SCanNet, ChangeMamba and their line): one histogram of S + 1 classes that holds both dates' maps.
    ``from_to`` (torchange): one histogram of 1 + S^2 transitions, one count per pixel. No key is a bare "SeK".

    All values are in [0, 1] but SeK, Score and kappa, which can be negative. Returned, per protocol p: ``scd/p/SeK,
    Score, separated_kappa, F_scd, precision_scd, recall_scd, mIoU, IoU0, IoU1, OA, kappa, valid, kappa_degenerate``;
    ``scd/mIoU`` (of the first protocol; of changed or not, *not* of land cover); ``bcd/F1, precision, recall, IoU``
    (change class alone), ``false_change, OA, kappa, mIoU, mFscore``; ``trans/...`` (means over transitions that the
    labels hold); ``scd/recall/<class>, scd/IoU/<class>``, ``scd/macro_...``, ``scd/lt_...`` and ``trans/lt_...`` (head,
    medium, tail by labelled pixels); with ``ci`` also ``<key>_lo`` and ``<key>_hi``. For users of open-cd also
    ``binary/mIoU, binary/mFscore, semantic/Sek, semantic/SCD_Score`` (fractions, not percent). What is undefined is
    left out, and ``scd/p/valid`` is 0 where neither labels nor predictions hold a change.

    Maps, from :class:`SCDDataSample`: ``pred_sem_seg`` 0/1, ``pred_sem_t1/_t2`` land cover or 255 = "unchanged at this
    date"; ``gt_sem_seg`` 0/1/255, ``gt_sem_t1/_t2`` land cover or 255. A pixel is ignored at a date where it changed
    into or from an unknown class, and everywhere where the change label is 255.

    Args:
        protocol: ``'sem'``, ``'from_to'`` or both.
        num_land_classes: S; ``None`` = length of ``land_cover`` of the data set.
        label_mode: how change is derived where a sample has no change label: ``'change_only'`` (land cover labelled
            inside changes only: where there is any) or ``'full'`` (where it differs).
        change_from: ``'bcd_head'`` = the predicted change map, ``'semantic_disagreement'`` = where the two predicted
            land covers differ.
        metrics: groups of values to return.
        oa: ``'pooled'`` or ``'image_mean'`` (mean of the images' accuracies, as published code has it; protocol
            ``sem``).
        strict_reference: edge cases as in published code, see :func:`change_scores`.
        out_csv: file for the transitions with counts, scores and, where known, hectares.
        ci, ignore_index, collect_device, prefix: as in :class:`ChangeMetric`.

    Artefact: ``kind='change'``, with the tables, per class, per transition, intervals and blocks. Sources: see
    :mod:`imbdense.core.metrics.change_scores`.
    """

    card = 'change_metrics'
    tasks = ('change_detection',)
    located = ('scd/from_to',)

    def __init__(
        self,
        protocol: str | Sequence[str] = 'sem',
        num_land_classes: int | None = None,
        label_mode: str = 'change_only',
        change_from: str = 'bcd_head',
        metrics: Sequence[str] = CHOICES,
        ignore_index: int = 255,
        ci: Mapping[str, Any] | None = None,
        oa: str = 'pooled',
        strict_reference: bool = False,
        out_csv: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(ci, ignore_index, collect_device, prefix)
        owner = type(self).__name__
        self.protocols = (protocol,) if isinstance(protocol, str) else tuple(protocol)
        if not self.protocols:
            raise ValueError(f'{owner}: protocol must name at least one of {list(PROTOCOLS)}.')
        for name in self.protocols:
            check_choice('protocol', name, PROTOCOLS, owner=owner)
        for name in metrics:
            check_choice('metrics', name, CHOICES, owner=owner)
        self.metrics = tuple(metrics)
        if num_land_classes is not None:
            check_integer('num_land_classes', num_land_classes, low=1, high=MOST_CLASSES, owner=owner)
        self.num_land_classes = num_land_classes
        self.label_mode = check_choice('label_mode', label_mode, ('change_only', 'full'), owner=owner)
        self.change_from = check_choice('change_from', change_from, ('bcd_head', 'semantic_disagreement'), owner=owner)
        self.oa = check_choice('oa', oa, ('pooled', 'image_mean'), owner=owner)
        if oa == 'image_mean' and 'sem' not in self.protocols:
            raise ValueError(f"{owner}: oa='image_mean' is a rule of protocol 'sem', but protocol is {protocol!r}.")
        self.strict_reference, self.out_csv = strict_reference, out_csv

    @property
    def land_cover(self) -> list[str]:
        """Names of the S land-cover classes."""
        names = list((self.dataset_meta or {}).get('land_cover') or ())
        size = self.num_land_classes or len(names)
        if not size:
            raise ValueError(
                f'{type(self).__name__} needs the land-cover classes: set dataset.metainfo=dict(land_cover=(...)) or '
                f'num_land_classes.'
            )
        if names and len(names) != size:
            raise ValueError(f'{type(self).__name__}: num_land_classes is {size}, but the data set has {names}.')
        return names or [f'class {index}' for index in range(size)]

    @property
    def counts_transitions(self) -> bool:
        """Whether the table of transitions is needed."""
        return 'from_to' in self.protocols or 'transitions' in self.metrics

    @property
    def resampled(self) -> list[str]:
        """The protocols asked for, and changed or not."""
        return [*(f'scd/{protocol}' for protocol in self.protocols), 'bcd']

    def read(self, sample: Mapping[str, Any]) -> list[Tensor]:
        """Predicted change and land cover, labelled change and land cover."""
        owner = type(self).__name__
        predicted = [byte_map(sample, f'pred_sem_t{date}', owner) for date in (1, 2)]
        labelled = [byte_map(sample, f'gt_sem_t{date}', owner, self.ignore_index) for date in (1, 2)]
        if self.change_from == 'bcd_head':
            change = byte_map(sample, 'pred_sem_seg', owner)
        else:
            change = (predicted[0] != predicted[1]).to(torch.uint8)
        if 'gt_sem_seg' in sample:
            truth = byte_map(sample, 'gt_sem_seg', owner, self.ignore_index)
        else:
            truth = label_change(*labelled, self.label_mode)
        return [change, *predicted, truth, *labelled]

    def tabulate(self, *maps: Tensor) -> dict[str, NDArray[np.int64]]:
        """``sem``, ``from_to`` (or its columns), ``bcd`` and the census of the labels."""
        size = len(self.land_cover)
        predicted = change_states(*maps[:3], size, side='prediction')
        labelled = change_states(*maps[3:], size, side='label')
        pairs = count_state_pairs(predicted, labelled, size)
        tables = {
            'sem': change_tables.semantic_table(pairs),
            'bcd': change_tables.binary_table(pairs),
            'census': np.append(change_tables.label_census(pairs), maps[3].numel() - pairs.count.sum()),
        }
        if not self.counts_transitions:
            return tables
        if size <= change_tables.DENSE_CLASSES:
            return tables | {'from_to': change_tables.from_to_table(pairs)}
        columns = change_tables.from_to_columns(pairs)
        return tables | {f'from_to/{label}': column for label, column in columns.items()}

    def sums(self, tables: Table) -> Sums:
        """The sums of every histogram."""
        found = {'scd/sem': HistogramSums.of(tables['sem'])} if 'sem' in self.protocols else {}
        if self.counts_transitions:
            found['scd/from_to'] = self._from_to_sums(tables)
        return found | {'bcd': HistogramSums.of(tables['bcd'])}

    def record(self, tables: Table) -> float | None:
        """Accuracy of one image."""
        if self.oa == 'pooled' or not tables['sem'].any():
            return None
        return float(np.trace(tables['sem']) / tables['sem'].sum())

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores, log and artefact."""
        return report_change(self, tally)

    def _from_to_sums(self, tables: Table) -> HistogramSums:
        """From the matrix or from its columns."""
        if 'from_to' in tables:
            return HistogramSums.of(tables['from_to'])
        columns = {int(key.split('/')[1]): table for key, table in tables.items() if key.startswith('from_to/')}
        return HistogramSums.of_columns(columns, 1 + len(self.land_cover) ** 2)
