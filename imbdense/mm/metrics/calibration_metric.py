"""How far the predicted probabilities can be trusted, per class and per frequency group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.metrics.calibration import UNIT, CalibrationScores, calibration_bins, calibration_scores
from imbdense.core.metrics.groups import GroupSpec, mean_present
from imbdense.mm.metrics.dense_sample import logits_and_labels, place_of
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import Counts, TableMetric, Tally, as_table
from imbdense.registry import METRICS


@METRICS.register_module()
class CalibrationMetric(TableMetric):
    """Expected calibration error, negative log-likelihood and Brier score of dense probabilities, per class and group.

    Returned: ``ECE`` (winning class), ``cwECE`` (mean of the one-vs-rest errors), ``NLL``, ``Brier`` (means over
    pixels), ``mNLL`` (mean over classes); ``cwECE/<class>, gap/<class>`` (mean probability minus prevalence; negative
    = predicted too timidly), ``NLL/<class>, Brier/<class>`` (over the pixels of the class), ``cwECE_<group>,
    NLL_<group>``, ``calibration_nan_pixels``. Absent classes are left out and named.

    Args:
        bins: equally wide probability bins.
        ignore_index: label value that is not counted.
        strict: NaN logits are an error that names the image instead of being counted.
        groups, class_counts, count: as in ``ConfusionMetric``.

    Artefact: ``kind='calibration'``, ``reliability`` and ``per_class[c]['reliability']``: lists ``count, confidence,
    accuracy`` per bin (None for an empty bin).

    Sources: Guo et al. (2017); class-wise ECE: Kull et al. (2019).
    """

    card = 'calibration_metric'
    tasks = ('segmentation',)

    def __init__(
        self,
        bins: int = 15,
        ignore_index: int = 255,
        strict: bool = False,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.bins = check_integer('bins', bins, low=1, owner=type(self).__name__)
        self.ignore_index, self.strict = ignore_index, strict
        self.groups, self.class_counts, self.count_unit = groups, class_counts, count

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The calibration tables of one image."""
        owner = type(self).__name__
        logits, labels, valid = logits_and_labels(sample, len(self.classes), self.ignore_index, owner)
        if logits.shape[0] == 1:
            if len(self.classes) != 2:
                raise ValueError(f'{owner}: a one-channel sigmoid head needs 2 classes, but there are {self.classes}.')
            probs = torch.cat([1 - logits.float(), logits.float()])  # the host stores the sigmoid of one channel
            if bool(((probs < 0) & valid).any()):
                raise ValueError(f'{owner}: the one channel of seg_logits of {place_of(sample)} reaches outside '
                                 f'[0, 1], but mmseg keeps probabilities there; store the sigmoid.')
        else:
            probs = logits.float().softmax(dim=0)
        broken = probs.isnan().any(dim=0)
        nan_pixels = (broken & valid).sum()
        if self.strict and int(nan_pixels):
            raise ValueError(f'{owner}: {int(nan_pixels)} pixels of {place_of(sample)} have NaN logits (strict=True).')
        tables = calibration_bins(probs, labels, valid & ~broken, bins=self.bins)
        return {name: as_table(table) for name, table in tables.items()} | {'nan_pixels': nan_pixels.reshape(1)}, None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores of the summed tables."""
        tables, classes = tally.tables, self.classes
        scores = calibration_scores(tables)
        groups, counts = resolve_groups(
            self.groups, self.class_counts, self.count_unit, classes, tables['truth'],
            'true pixels of the evaluated set',
        )  # fmt: skip
        broken = int(tables['nan_pixels'][0])
        scalars = {
            'ECE': scores.ece,
            'cwECE': mean_present(scores.class_ece),
            'NLL': scores.mean_nll,
            'mNLL': mean_present(scores.nll),
            'Brier': scores.mean_brier,
            'calibration_nan_pixels': float(broken),
        }
        per_class = {'cwECE': scores.class_ece, 'gap': scores.class_gap, 'NLL': scores.nll, 'Brier': scores.brier}
        for name in ('cwECE', 'NLL'):
            scalars |= {f'{name}_{group}': mean for group, mean in groups.means(per_class[name]).items()}
        for name, values in per_class.items():
            scalars |= {f'{name}/{label}': float(value) for label, value in zip(classes, values)}
        records = [
            {'class': label, **{name: values[row] for name, values in per_class.items()},
             'reliability': reliability(tables['bin_count'][row], tables['bin_prob'][row], tables['bin_true'][row])}
            for row, label in enumerate(classes)
        ]  # fmt: skip
        top = reliability(*(tables[name].sum(axis=0) for name in ('top_count', 'top_prob', 'top_true')))
        absent = np.flatnonzero(tables['truth'] == 0).tolist()
        self.artifact = jsonable(
            artifact_head('calibration', classes, counts, groups, scalars)
            | {'reliability': top, 'per_class': records, 'absent': absent, 'nan_pixels': broken}
        )
        self._log(scores, classes, tables['truth'], group_notes(groups, classes, absent), broken)
        return scalars

    @staticmethod
    def _log(scores: CalibrationScores, classes: list[str], truth: Counts, notes: list[str], broken: int) -> None:
        """One table, rarest class last."""
        rows = [
            (classes[i], truth[i], scores.class_ece[i], scores.class_gap[i], scores.nll[i], scores.brier[i])
            for i in np.argsort(-truth, kind='stable')
        ]
        notes = [f'ECE {scores.ece:.4f}, NLL {scores.mean_nll:.4f}, Brier {scores.mean_brier:.4f}', *notes]
        if broken:
            notes.append(f'{broken} pixels with NaN logits were left out.')
        log_table('Calibration', ('class', 'true pixels', 'cwECE', 'gap', 'NLL', 'Brier'), rows, notes)


def reliability(count: Counts, prob: Counts, true: Counts) -> dict[str, Any]:
    """Per bin: positions, mean probability, share of true positions (NaN for an empty bin)."""
    filled = np.where(count > 0, count, 1)
    return {
        'count': count.tolist(),
        'confidence': np.where(count > 0, prob / UNIT / filled, np.nan).tolist(),
        'accuracy': np.where(count > 0, true / filled, np.nan).tolist(),
    }
