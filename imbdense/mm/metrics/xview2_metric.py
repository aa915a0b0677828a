"""The xView2 challenge: localisation and damage of buildings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from imbdense.core.metrics.building_damage import DAMAGE, xview2_scores
from imbdense.core.metrics.change_states import UNKNOWN
from imbdense.core.metrics.confusion import confusion_table
from imbdense.mm.metrics.change_metric import percent
from imbdense.mm.metrics.change_sample import byte_map
from imbdense.mm.metrics.dense_sample import place_of
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS


@METRICS.register_module()
class XView2Metric(TableMetric):
    """F1 of buildings, harmonic mean of the F1 of four levels of damage, and 0.3 and 0.7 of them together.

    Maps: ``gt_sem_seg`` and ``pred_sem_seg`` hold the level after the event: 0 = no building, 1 ... 4, 255 = unknown
    (label only). Where the building map of the first date is there as well (``gt_sem_t1``, ``pred_sem_t1``: 0 and
    1, 255 = unknown) it is the one that localisation is judged by; else level > 0 is. Damage is counted where the
    label is a level, after the predicted level is set to 0 outside predicted buildings.

    Returned: ``xview2/F1_loc, F1_dam, score`` and ``xview2/F1/<class>``. A level that is labelled and never found pulls
    ``F1_dam`` to about 4e-6, as the rules have it; a level without labels is left out.

    Artefact: ``kind='xview2'``, tables with rows = prediction.
    """

    card = 'change_metrics'
    tasks = ('segmentation', 'change_detection')

    def __init__(self, ignore_index: int = 255, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    @property
    def levels(self) -> list[str]:
        """The five class names."""
        if len(self.classes) != DAMAGE + 1:
            raise ValueError(f'XView2Metric needs five classes, no building and four levels, but got {self.classes}.')
        return self.classes

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The tables of one image."""
        owner = type(self).__name__
        level = byte_map(sample, 'pred_sem_seg', owner)
        truth = byte_map(sample, 'gt_sem_seg', owner, self.ignore_index)
        building = (byte_map(sample, 'pred_sem_t1', owner) if 'pred_sem_t1' in sample else level).clamp(max=1)
        before = byte_map(sample, 'gt_sem_t1', owner, self.ignore_index) if 'gt_sem_t1' in sample else truth
        before = torch.where(before == UNKNOWN, before, before.clamp(max=1))
        damaged = torch.where(truth == 0, UNKNOWN, truth).to(torch.uint8)
        try:
            location = confusion_table(building, before, 2, ignore_index=UNKNOWN).T
            damage = confusion_table(level * building, damaged, DAMAGE + 1, ignore_index=UNKNOWN).T
        except ValueError as error:
            raise ValueError(f'{owner}: {place_of(sample)}: {error}') from None
        return {'location': as_table(location.copy()), 'damage': as_table(damage.copy())}, None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores, log and artefact."""
        tables, names = tally.tables, self.levels
        scores = xview2_scores(tables['location'], tables['damage'])
        scalars = {f'xview2/{name}': scores[name] for name in ('score', 'F1_loc', 'F1_dam')}
        scalars |= {f'xview2/F1/{name}': scores[f'F1_{level}'] for level, name in enumerate(names) if level}
        self.artifact = jsonable({'kind': 'xview2', 'classes': names, 'scalars': scalars, 'tables': tables})
        rows = [(name, int(tables['damage'][:, level].sum()), percent(scores[f'F1_{level}']))
                for level, name in enumerate(names) if level]  # fmt: skip
        note = ', '.join(f'{name} {percent(scores[name])}' for name in ('score', 'F1_loc', 'F1_dam'))
        log_table('xView2, %', ('level', 'label pixels', 'F1'), rows, [note])
        return scalars
