"""Post-classification comparison: two land-cover maps per pair, and the change between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.metrics.alpine_transitions import KINDS
from imbdense.core.metrics.change_scores import HistogramSums, binary_scores, class_scores, kind_scores
from imbdense.core.metrics.change_states import UNKNOWN, change_states, count_state_pairs
from imbdense.core.metrics.change_tables import date_table
from imbdense.core.metrics.post_classification import (
    differing_table,
    fold_unchanged,
    kind_table,
    transition_sums,
)
from imbdense.core.metrics.transitions import as_matrix, transition_scores
from imbdense.data.change.kinds import check_lut, read_lut
from imbdense.mm.metrics.change_metric import ChangeMetric, Sums, Table, percent, with_intervals, with_range
from imbdense.mm.metrics.change_sample import byte_map, label_change
from imbdense.mm.metrics.output import jsonable, log_table
from imbdense.mm.metrics.table_metric import Tally
from imbdense.mm.metrics.transition_table import transition_records
from imbdense.registry import METRICS

SHOWN = ('F1', 'precision', 'recall', 'IoU', 'OA', 'kappa')


@METRICS.register_module()
class PostClassificationMetric(ChangeMetric):
    """What comes of comparing two land-cover maps: false change, transitions, areas, kinds of change.

    Two independent maps err independently, and every error is a change that is not there; so
    ``pcc/change/false_change``, the share of truly unchanged pixels that are called changed, stands beside the scores.
    Change is where the land cover differs, in labels and predictions alike; pixels unknown (255) in the labels at
    either date are left out.

    Returned: ``pcc/change/...`` (precision, recall, F1, IoU of change, false_change, OA, kappa, mIoU),
    ``pcc/share_labelled``, ``pcc/share_predicted`` (of changed pixels); ``pcc/t1/...`` and ``pcc/t2/...`` (OA, kappa,
    macro_recall, macro_iou, macro_f1 of the maps); ``pcc/recall_t2/<class>``; ``pcc/trans/...`` over the transitions
    that the labels hold; with ``lut`` ``pcc/kinds/...`` and ``pcc/IoU/<kind>``; with ``ci`` ``<key>_lo, <key>_hi``.
    macro_recall is what torchmetrics calls ``Accuracy(average='macro')``; OA is pixel accuracy.

    Args:
        lut: kinds of change (S, S) by class at the first date (rows) and the second: a CSV file of whole numbers, or
            ``'alpine'`` for the nine kinds of HabitAlp (S = 23). A table (S + 1, S + 1) has a first row and column for
            "no data", which are cut off. ``None`` = no kinds.
        kinds: names of the kinds; ``None`` = those of ``'alpine'``, else ``kind 0, kind 1, ...``.
        ci, ignore_index, collect_device, prefix: as in :class:`ChangeMetric`.

    Artefact: ``kind='post_classification'``; ``transitions`` with the matrices ``labelled`` (T_ref), ``predicted``
    (T_pred), ``hit`` (T_hit), here with what did not change on their diagonal, and hectares where the samples carry a
    ``transform``; ``kinds`` likewise.
    """

    card = 'change_metrics'
    tasks = ('change_detection',)
    located = ('pcc/from_to', 'pcc/kinds')

    def __init__(
        self,
        lut: str | None = None,
        kinds: Sequence[str] | None = None,
        ignore_index: int = 255,
        ci: Mapping[str, Any] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(ci, ignore_index, collect_device, prefix)
        self.lut, self.kinds = None if lut is None else check_lut(str(lut)), None if kinds is None else tuple(kinds)
        self._table: NDArray[np.int64] | None = None

    @property
    def land_cover(self) -> list[str]:
        """Names of the S classes: ``land_cover`` of the data set, or its ``classes``."""
        return list((self.dataset_meta or {}).get('land_cover') or self.classes)

    @property
    def resampled(self) -> list[str]:
        """Changed or not, and the kinds of change."""
        return ['pcc/change'] if self.lut is None else ['pcc/change', 'pcc/kinds']

    def read(self, sample: Mapping[str, Any]) -> list[Tensor]:
        """Predicted and labelled land cover."""
        owner = type(self).__name__
        predicted = [byte_map(sample, f'pred_sem_t{date}', owner) for date in (1, 2)]
        return predicted + [byte_map(sample, f'gt_sem_t{date}', owner, self.ignore_index) for date in (1, 2)]

    def tabulate(self, *maps: Tensor) -> dict[str, NDArray[np.int64]]:
        """Sums of the transitions with the unchanged among them, both maps' tables, change, and kinds of change."""
        size = len(self.land_cover)
        known = label_change(maps[2], maps[3], 'full')
        counted = torch.where(known == UNKNOWN, UNKNOWN, 1).to(torch.uint8)
        predicted = change_states(torch.ones_like(counted), *maps[:2], size, side='prediction')
        labelled = change_states(counted, *maps[2:], size, side='label')
        pairs = count_state_pairs(predicted, labelled, size)
        tables = {
            'from_to': transition_sums(pairs).pack(),
            't1': date_table(pairs, 0)[:, 1:],
            't2': date_table(pairs, 1)[:, 1:],
            'change': differing_table(pairs),
        }
        return tables if self.lut is None else tables | {'kinds': kind_table(pairs, self._lut_of(size))}

    def sums(self, tables: Table) -> Sums:
        """The sums of every histogram but those of single dates."""
        found = {
            'pcc/change': HistogramSums.of(tables['change']),
            'pcc/from_to': HistogramSums.unpack(tables['from_to']),
        }
        return found | ({'pcc/kinds': HistogramSums.of(tables['kinds'])} if 'kinds' in tables else {})

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores, log and artefact."""
        tables, classes = tally.tables, self.land_cover
        sums = self.sums(tables)
        scalars = self._scalars(tables, sums, classes)
        found, blocks = self.intervals(tables)
        scalars = with_intervals(scalars, found)
        artifact = {
            'kind': 'post_classification', 'classes': classes, 'scalars': scalars, 'intervals': found,
            'blocks': blocks,
            'tables': {name: tables[name] for name in ('t1', 't2', 'change', 'kinds') if name in tables},
            'transitions': self._transitions(tables, sums, classes),
        }  # fmt: skip
        if 'pcc/kinds' in sums:
            artifact['kinds'] = self._kind_records(tables, sums['pcc/kinds'])
        self.artifact = jsonable(artifact)
        self._log(scalars, found)
        return scalars

    def _scalars(self, tables: Table, sums: Sums, classes: Sequence[str]) -> dict[str, float]:
        """Everything that is returned, without intervals."""
        change = sums['pcc/change']
        out = {f'pcc/change/{name}': float(value) for name, value in binary_scores(change).items()}
        pixels = int(change.total)
        out['pcc/share_labelled'] = int(change.labelled[1]) / pixels if pixels else float('nan')
        out['pcc/share_predicted'] = int(change.predicted[1]) / pixels if pixels else float('nan')
        for date in ('t1', 't2'):
            scores = kind_scores(_date_sums(tables[date]))
            out |= {f'pcc/{date}/{name}': float(value) for name, value in scores.items()}
        recall = class_scores(_date_sums(tables['t2']))['recall']
        out |= {f'pcc/recall_t2/{name}': float(value) for name, value in zip(classes, recall)}
        changes = fold_unchanged(sums['pcc/from_to'], int(change.agreed[0]))
        out |= {f'pcc/trans/{name}': value for name, value in transition_scores(changes).items()}
        if 'pcc/kinds' in sums:
            out |= {f'pcc/kinds/{name}': float(value) for name, value in kind_scores(sums['pcc/kinds']).items()}
            iou = class_scores(sums['pcc/kinds'])['IoU']
            out |= {f'pcc/IoU/{name}': float(value) for name, value in zip(self._kind_names(len(iou)), iou)}
        return out

    def _transitions(self, tables: Table, sums: Sums, classes: Sequence[str]) -> dict[str, Any]:
        """Matrices and records."""
        counted, area = sums['pcc/from_to'], self.hectares(tables, 'pcc/from_to')
        names = ('labelled', 'predicted', 'hit')
        out: dict[str, Any] = {
            name: as_matrix(part) for name, part in zip(names, (counted.labelled, counted.predicted, counted.agreed))
        }
        out['records'] = transition_records(counted, classes, area)
        if area is not None:
            parts = (area.labelled, area.predicted, area.agreed)
            out['hectares'] = {name: as_matrix(part) for name, part in zip(names, parts)}
        return out

    def _kind_records(self, tables: Table, sums: HistogramSums) -> list[dict[str, Any]]:
        """A record per kind of change."""
        scores, area = class_scores(sums), self.hectares(tables, 'pcc/kinds')
        records = []
        for kind, name in enumerate(self._kind_names(len(sums.labelled))):
            record = {'kind': name, 'labelled': sums.labelled[kind], 'predicted': sums.predicted[kind],
                      'hit': sums.agreed[kind], **{key: float(values[kind]) for key, values in scores.items()}}
            if area is not None:
                record |= {'labelled_ha': float(area.labelled[kind]), 'predicted_ha': float(area.predicted[kind])}
            records.append(record)
        return records

    def _kind_names(self, number: int) -> list[str]:
        """Names of the kinds 0 ... number - 1."""
        names = self.kinds or (KINDS if self.lut == 'alpine' else tuple(f'kind {kind}' for kind in range(number)))
        if len(names) < number:
            raise ValueError(f'PostClassificationMetric: the lut has {number} kinds, but kinds names {list(names)}.')
        return list(names[:number])

    def _lut_of(self, size: int) -> NDArray[np.int64]:
        """Kind of change by transition; read once."""
        if self._table is None:
            self._table = read_lut(str(self.lut), size)
        return self._table

    def _log(self, scalars: Mapping[str, float], found: Mapping[str, tuple[float, float]]) -> None:
        """Percent here, and only here."""
        row = ('change', *(with_range(f'pcc/change/{name}', scalars[f'pcc/change/{name}'], found) for name in SHOWN))
        notes = [
            f'{percent(scalars["pcc/share_labelled"])} % changed, {percent(scalars["pcc/share_predicted"])} % called '
            f'changed; {percent(scalars["pcc/change/false_change"])} % of what did not change is called changed.'
        ]
        log_table('Change between two land-cover maps, %', ('', *SHOWN), [row], notes)
        names = ('OA', 'kappa', 'macro_recall', 'macro_iou', 'macro_f1')
        rooms = [room for room in ('t1', 't2', 'kinds') if f'pcc/{room}/OA' in scalars]
        rows = [
            (room, *(with_range(f'pcc/{room}/{name}', scalars[f'pcc/{room}/{name}'], found) for name in names))
            for room in rooms
        ]
        log_table('Land cover at both dates, and kinds of change, %', ('', *names), rows)


def _date_sums(table: NDArray[np.int64]) -> HistogramSums:
    """Sums of one date's map: rows 0 ... S with 0 = no class, columns 1 ... S; agreement of the classes."""
    return HistogramSums(table.sum(axis=1)[1:], table.sum(axis=0), np.diag(table[1:]))
