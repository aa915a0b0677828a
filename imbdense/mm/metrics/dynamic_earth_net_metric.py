"""DynamicEarthNet: change and its meaning between consecutive dates of a series."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.core.metrics.change_scores import HistogramSums, class_scores
from imbdense.core.metrics.change_series import series_scores
from imbdense.core.metrics.change_states import UNKNOWN
from imbdense.core.metrics.confusion import confusion_table
from imbdense.core.metrics.groups import mean_present
from imbdense.mm.metrics.change_metric import percent
from imbdense.mm.metrics.change_sample import byte_map, label_change
from imbdense.mm.metrics.dense_sample import place_of
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS


@METRICS.register_module()
class DynamicEarthNetMetric(TableMetric):
    """Binary change BC, semantic change SC and their mean SCS, over consecutive dates of land-cover maps.

    A sample holds two or more dates in order, ``gt_sem_t1, gt_sem_t2, ...`` with 255 = unknown, and as many
    ``pred_sem_t...``; classes are ``land_cover`` of the data set. Change between two dates is where the land cover
    differs; a pixel unknown at either date is left out of the pair. SC looks at the later date of truly changed pixels.

    Returned: ``den/SCS, BC, SC``; ``den/mIoU`` and ``den/IoU/<class>`` of the land cover at all dates (classes with
    true or predicted pixels). The whole set is one table, as in the published evaluation; it scores six of the seven
    classes, so name the six in ``land_cover`` and label snow and ice 255.

    Artefact: ``kind='dynamic_earth_net'``, tables with rows = prediction. Source: see
    :mod:`imbdense.core.metrics.change_series`.
    """

    card = 'change_metrics'
    tasks = ('change_detection',)

    def __init__(self, ignore_index: int = 255, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    @property
    def land_cover(self) -> list[str]:
        """Names of the land-cover classes."""
        names = list((self.dataset_meta or {}).get('land_cover') or ())
        if not names:
            raise ValueError('DynamicEarthNetMetric needs land_cover=(...) in dataset.metainfo.')
        return names

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The tables of one series."""
        owner, size = type(self).__name__, len(self.land_cover)
        dates = 1
        while f'gt_sem_t{dates + 1}' in sample:
            dates += 1
        truth = [byte_map(sample, f'gt_sem_t{date}', owner, self.ignore_index) for date in range(1, dates + 1)]
        pred = [byte_map(sample, f'pred_sem_t{date}', owner) for date in range(1, dates + 1)]
        if dates < 2:
            raise ValueError(f'{owner}: {place_of(sample)} has one date only; change needs two.')
        tables = {'binary': np.zeros((2, 2), np.int64), 'semantic': np.zeros((size, size), np.int64)}
        try:
            tables['all'] = sum((confusion_table(p, t, size).T for p, t in zip(pred, truth)), np.int64(0))
            for (before, after), (p, q) in zip(pairwise(truth), pairwise(pred)):
                change = label_change(before, after, 'full')
                tables['binary'] += confusion_table((p != q).to(torch.uint8), change, 2, ignore_index=UNKNOWN).T
                named = torch.where(change == 1, after, UNKNOWN).to(torch.uint8)
                tables['semantic'] += confusion_table(q, named, size, ignore_index=UNKNOWN).T
        except ValueError as error:
            raise ValueError(f'{owner}: {place_of(sample)}: {error}') from None
        return {name: as_table(np.ascontiguousarray(table)) for name, table in tables.items()}, None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores, log and artefact."""
        tables, names = tally.tables, self.land_cover
        scores = series_scores(tables['binary'], tables['semantic'])
        iou = class_scores(HistogramSums.of(tables['all']))['IoU']
        changed = class_scores(HistogramSums.of(tables['semantic']))['IoU']
        scalars = {f'den/{name}': value for name, value in scores.items()}
        scalars |= {'den/mIoU': mean_present(iou)}
        scalars |= {f'den/IoU/{name}': float(value) for name, value in zip(names, iou)}
        self.artifact = jsonable({'kind': 'dynamic_earth_net', 'classes': names, 'scalars': scalars, 'tables': tables})
        rows = [(name, int(tables['semantic'][:, row].sum()), percent(changed[row]), percent(iou[row]))
                for row, name in enumerate(names)]  # fmt: skip
        note = ', '.join(f'{name} {percent(value)}' for name, value in scores.items())
        log_table('DynamicEarthNet, %', ('class', 'changed pixels', 'IoU of changed', 'IoU'), rows, [note])
        return scalars
