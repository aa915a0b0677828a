"""AUROC and average precision per class over all pixels, streamed through score histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.metrics.groups import GroupSpec
from imbdense.core.metrics.ranking import auroc_ap_from_hist
from imbdense.core.metrics.ranking_summary import METRICS as CHOICES
from imbdense.core.metrics.score_histogram import SCORES, coarsen, dense_scores, score_histogram
from imbdense.mm.metrics.dense_ranking_report import SCORE_UNIT, report_ranking
from imbdense.mm.metrics.dense_sample import logits_and_labels, place_of
from imbdense.mm.metrics.group_counts import CountsArg
from imbdense.mm.metrics.table_metric import TableMetric, Tally, as_table
from imbdense.registry import METRICS

EXACT_BITS = {torch.bfloat16: 16, torch.float16: 19}
"""Top bits of the float32 key that hold every value of a 16-bit float: sign, 8 of exponent, 7 or 10 of mantissa."""
BLOCK_BITS = 12
"""Key bits of the jackknife's histograms; a standard error does not need more, and there are 20 blocks."""


@METRICS.register_module()
class DenseRankingMetric(TableMetric):
    """AUROC, average precision and FPR at 95 % recall per class over all pixels, with bounds and standard errors.

    Per class two int64 histograms over an order-preserving key of the float score are kept (1 MiB per class at 16
    bits), nothing pixel-sized. Exact for logits of 16 bits (float16, bfloat16) with ``score='logit'``; otherwise every
    value comes with rigorous bounds ``*_lo`` and ``*_hi``. A class without positives (or without negatives) is
    undefined: left out of the macro means and of the returned values, named in the log.

    Returned: ``auroc/<class>, ap/<class>`` with ``_lo``/``_hi``, ``fpr95/<class>``, ``prevalence/<class>`` (the chance
    level of AP; that of AUROC is 0.5), ``auroc_se/<class>, ap_se/<class>``, ``macro_auroc, macro_ap, macro_fpr95`` and
    ``macro_<metric>_<group>``, ``ranking_nan_pixels``. AP is never averaged over pooled classes.

    Args:
        classes: names of the classes to judge; ``None`` = all.
        score: ``'prob'``, ``'margin'`` (log-odds: does not saturate, for very rare classes) or ``'logit'``.
        bits: histogram bins per class = 2**bits, 4 to 20.
        ignore_index: label value that is not counted.
        metrics: of ``auroc, ap, fpr95, best_f1``.
        max_fpr: also the standardised partial AUROC ``pauroc/<class>``.
        subgroup_key: meta key of the sample (for example ``'city'``); AUROC and AP per subgroup and their gap
            (max - min) are reported too, with the AP gap that remains at a common prevalence.
        prevalence: also AP at this prevalence ``ap_adjusted/<class>``, for evaluation sets enriched with rare classes.
        jackknife_blocks: blocks of images (place in the data set mod J) for the standard errors; 0 = none.
        per_image: also the means over images of per-image AUROC and AP (images without the class are skipped and
            counted): ``image_auroc/<class>, image_ap/<class>, image_count/<class>``.
        strict: NaN scores are an error that names the image instead of being counted in ``ranking_nan_pixels``.
        warn_width: a class whose AP or AUROC bounds are wider is named, with the advice to take more bits.
        groups, class_counts, count: as in ``ConfusionMetric``.

    Artefact: ``kind='ranking'``, ``per_class``: scores, ``curve`` (at most 200 points of fpr, tpr, precision) or None;
    ``undefined``, ``nan_pixels``, ``subgroups``.

    Source: McDermott et al., NeurIPS 2024 (arXiv 2401.06091); bounds are our own.
    """

    card = 'auroc_auprc'
    tasks = ('segmentation',)

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        score: str = 'prob',
        bits: int = 16,
        ignore_index: int = 255,
        metrics: Sequence[str] = ('auroc', 'ap', 'fpr95'),
        max_fpr: float | None = None,
        subgroup_key: str | None = None,
        prevalence: float | None = None,
        jackknife_blocks: int = 20,
        per_image: bool = False,
        strict: bool = False,
        warn_width: float = 0.005,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'pixels',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        owner = type(self).__name__
        for name in metrics:
            check_choice('metrics', name, CHOICES, owner=owner)
        self.chosen, self.metrics = classes, tuple(metrics)
        self.score = check_choice('score', score, SCORES, owner=owner)
        self.bits = check_integer('bits', bits, low=4, high=20, owner=owner)
        self.jackknife_blocks = check_integer('jackknife_blocks', jackknife_blocks, low=0, owner=owner)
        self.warn_width = check_number('warn_width', warn_width, low=0.0, owner=owner)
        for name, value in (('max_fpr', max_fpr), ('prevalence', prevalence)):
            if value is not None:
                check_number(name, value, low=0.0, high=1.0, low_open=True, owner=owner)
        self.max_fpr, self.prevalence = max_fpr, prevalence
        self.ignore_index, self.subgroup_key = ignore_index, subgroup_key
        self.per_image, self.strict = per_image, strict
        self.groups, self.class_counts, self.count_unit = groups, class_counts, count

    @property
    def judged(self) -> list[int]:
        """Indices of the classes that get a histogram."""
        if self.chosen is None:
            return list(range(len(self.classes)))
        missing = [name for name in self.chosen if name not in self.classes]
        if missing:
            raise ValueError(f'{type(self).__name__}: classes {missing} are not among {self.classes}.')
        return [self.classes.index(name) for name in self.chosen]

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """The histograms of one image."""
        owner = type(self).__name__
        logits, labels, valid = logits_and_labels(sample, len(self.classes), self.ignore_index, owner)
        rows = self.judged if logits.shape[0] > 1 else [len(self.classes) - 1]
        scores = dense_scores(logits, self.score)
        broken = scores.isnan().any(dim=0)
        nan_pixels = (broken & valid).sum()
        if self.strict and int(nan_pixels):
            raise ValueError(
                f'{owner}: {int(nan_pixels)} pixels of {place_of(sample)} have NaN scores (strict=True). Did the model '
                f'diverge, or overflow in float16?'
            )
        row_of_class = torch.full((len(self.classes),), -1, dtype=torch.int64, device=labels.device)
        row_of_class[rows] = torch.arange(len(rows), device=labels.device)
        truth = row_of_class[labels.clamp(0, len(self.classes) - 1)]
        if len(rows) != scores.shape[0]:
            scores = scores[rows]
        half_keys, exact = key_of(scores.dtype, self.bits)
        if not half_keys:
            scores = scores.float()
        hits, misses = score_histogram(scores, truth, valid & ~broken, bits=self.bits)
        tables = {
            'pos': hits,
            'neg': misses,
            'nan_pixels': nan_pixels.reshape(1),
            'inexact': torch.tensor([int(not exact)]),
            'half_keys': torch.tensor([int(half_keys), int(not half_keys)]),
        }
        return tables | self._by_block(hits, misses, index) | self._by_subgroup(hits, misses, sample), None

    def summarize(self, tally: Tally) -> dict[str, float]:
        """Scores of the summed histograms."""
        return report_ranking(self, tally)

    def _by_block(self, hits: Tensor, misses: Tensor, index: int) -> dict[str, Tensor]:
        """The coarse histograms of the jackknife, and the per-image scores."""
        tables: dict[str, Tensor] = {}
        if self.jackknife_blocks > 1:
            bits = min(BLOCK_BITS, self.bits)
            block = index % self.jackknife_blocks
            tables[f'block/{block}/pos'], tables[f'block/{block}/neg'] = coarsen(hits, bits), coarsen(misses, bits)
        if self.per_image:
            scores = [auroc_ap_from_hist(p, n) for p, n in zip(hits.cpu().numpy(), misses.cpu().numpy())]
            for name in ('auroc', 'ap'):
                values = np.array([score[name] for score in scores])
                tables[f'image_{name}'] = as_table(np.round(np.nan_to_num(values) * SCORE_UNIT).astype(np.int64))
            tables['images'] = as_table(~np.isnan(values))
        return tables

    def _by_subgroup(self, hits: Tensor, misses: Tensor, sample: Mapping[str, Any]) -> dict[str, Tensor]:
        """The histograms under the name of the sample's subgroup."""
        if self.subgroup_key is None:
            return {}
        if self.subgroup_key not in sample:
            raise KeyError(
                f"{type(self).__name__}: the sample of {place_of(sample)} has no '{self.subgroup_key}'; add it to "
                f'meta_keys of the packing transform.'
            )
        name = str(sample[self.subgroup_key])
        return {f'subgroup/{name}/pos': hits, f'subgroup/{name}/neg': misses}


def key_of(dtype: torch.dtype, bits: int) -> tuple[bool, bool]:
    """Return (whether the key is that of the 16 bits themselves, whether it is exact) for scores of ``dtype``.

    float16 has three bits more of mantissa than 16 bits of a float32 key hold, so it gets its own key where that fits.
    """
    half_keys = dtype == torch.float16 and bits <= 16
    return half_keys, bits >= (16 if half_keys else EXACT_BITS.get(dtype, 32))
