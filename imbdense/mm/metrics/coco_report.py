"""From COCO's tables and matches to the scalars, the log and the artefact of FrequencyGroupedCocoMetric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.detection import average_precision, average_recall, recall_at_false_positives
from imbdense.core.metrics.groups import FrequencyGroups, mean_present
from imbdense.mm.metrics.coco_matches import Matches
from imbdense.mm.metrics.coco_tables import AREAS, CocoTables
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CocoReport:
    """One evaluation, ready to be summarised.

    Attributes:
        metric: ``'bbox'`` or ``'segm'``, the prefix of all keys. names: classes in label order. groups, counts: the
            frequency groups and the counts behind them. num_images: evaluated images. tables, matches: results, in the
            order of ``names``. rates: false positives per image at which recall is reported.
    """

    metric: str
    names: list[str]
    groups: FrequencyGroups
    counts: Floats
    num_images: int
    tables: CocoTables
    matches: list[Matches]
    rates: tuple[float, ...]

    @cached_property
    def per_class(self) -> dict[str, Floats]:
        """AP, AP50, AR and the recalls, each (C,), NaN without objects."""
        recalls = np.stack(
            [
                recall_at_false_positives(m.scores, m.matched, m.objects, self.num_images, self.rates)
                for m in self.matches
            ]
        )
        return {
            'AP': average_precision(self.tables.precision),
            'AP50': average_precision(self.tables.precision, iou_index=0),
            'AR': average_recall(self.tables.recall),
        } | {f'recall@{rate:g}fp': recalls[:, column] for column, rate in enumerate(self.rates)}

    @cached_property
    def absent(self) -> list[int]:
        """Classes without objects."""
        return [row for row, match in enumerate(self.matches) if match.objects == 0]

    def scalars(self) -> dict[str, float]:
        """All returned values, NaN where a class or group has no objects."""
        precision = self.tables.precision
        out = {'mAP': mean_present(self.per_class['AP'])}
        for name, iou in (('50', 0), ('75', 5)):
            out[f'mAP_{name}'] = mean_present(average_precision(precision, iou_index=iou))
        for area, name in enumerate(AREAS[1:], start=1):
            out[f'mAP_{name}'] = mean_present(average_precision(precision, area=area))
        mean_names = {'AP': 'mAP', 'AP50': 'mAP_50'}
        for name, values in self.per_class.items():
            key = mean_names.get(name, name)
            out.setdefault(key, mean_present(values))
            out |= {f'{key}_{group}': mean for group, mean in self.groups.means(values).items()}
        for name, values in self.per_class.items():
            out |= {f'{name}/{label}': float(value) for label, value in zip(self.names, values)}
        return {f'{self.metric}_{name}': value for name, value in out.items()}

    def artifact(self, scalars: dict[str, float]) -> dict[str, Any]:
        """The JSON-able artefact."""
        points = np.linspace(0, 1, self.tables.precision.shape[1])
        records = [
            {
                'class': label,
                **{name: self.per_class[name][row] for name in ('AP', 'AP50', 'AR')},
                'objects': self.matches[row].objects,
                'recall_at_fp': {f'{rate:g}': self.per_class[f'recall@{rate:g}fp'][row] for rate in self.rates},
                'pr50': None
                if row in self.absent
                else {'recall': points, 'precision': self.tables.precision[0, :, row, 0, -1]},
            }
            for row, label in enumerate(self.names)
        ]
        head = artifact_head('coco', self.names, self.counts, self.groups, scalars)
        rest = {'metric': self.metric, 'per_class': records, 'absent': self.absent, 'engine': self.tables.engine}
        artifact: dict[str, Any] = jsonable(head | rest)
        return artifact

    def log(self, scalars: dict[str, float]) -> None:
        """One table, rarest class last."""
        rows = [
            (
                self.names[i], self.counts[i], self.matches[i].objects,
                *[values[i] for values in self.per_class.values()],
            )
            for i in np.argsort(-self.counts, kind='stable')
        ]  # fmt: skip
        header = ('class', self.groups.source, 'objects', *self.per_class)
        line = ', '.join(f'{key} {value:.4f}' for key, value in scalars.items() if '/' not in key and 'mAP' in key)
        log_table(f'COCO {self.metric}', header, rows, [line, *group_notes(self.groups, self.names, self.absent)])
