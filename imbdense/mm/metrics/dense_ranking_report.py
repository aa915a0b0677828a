"""From summed score histograms to the scalars, the log and the artefact of DenseRankingMetric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from imbdense.core.metrics.groups import mean_present
from imbdense.core.metrics.ranking import auroc_ap_from_hist
from imbdense.core.metrics.ranking_curves import ap_at_prevalence, ranking_curve
from imbdense.core.metrics.ranking_summary import drawn_curve, jackknife_errors, summarize_class
from imbdense.mm.metrics.group_counts import resolve_groups
from imbdense.mm.metrics.output import artifact_head, group_notes, jsonable, log_table
from imbdense.mm.metrics.table_metric import Counts, Tally

if TYPE_CHECKING:
    from imbdense.mm.metrics.dense_ranking_metric import DenseRankingMetric

SCORE_UNIT = 2.0**40
"""Fixed point of the summed per-image scores, so that their sum does not depend on the order."""
AVERAGED = ('auroc', 'ap', 'fpr95', 'best_f1', 'pauroc', 'ap_adjusted')


def report_ranking(metric: DenseRankingMetric, tally: Tally) -> dict[str, float]:
    """Compute all scalars, set ``metric.artifact``, print the table."""
    tables = tally.tables
    hits, misses = tables['pos'], tables['neg']
    names = _row_names(metric, hits.shape[0])
    exact = int(tables['inexact'][0]) == 0
    halves, others = tables['half_keys'].tolist()
    if halves and others:
        raise ValueError(
            f'{type(metric).__name__}: {halves} images have float16 logits and {others} have not; scores of both '
            f'cannot be ranked in one table. Convert the logits to one dtype.'
        )
    per_class = [
        summarize_class(
            hits[row], misses[row], bits=metric.bits, metrics=metric.metrics, exact=exact, max_fpr=metric.max_fpr,
            prevalence=metric.prevalence, dtype=torch.float16 if halves else torch.float32,
        )
        | _errors(tables, row) | _image_means(tables, row)
        for row in range(len(names))
    ]  # fmt: skip
    undefined = [name for name, p, n in zip(names, hits.sum(axis=1), misses.sum(axis=1)) if p == 0 or n == 0]
    groups, counts = resolve_groups(
        metric.groups, _counts_of_rows(metric, names), metric.count_unit, names, hits.sum(axis=1),
        'true pixels of the evaluated set',
    )  # fmt: skip
    scalars: dict[str, float] = {}
    for key in (name for name in AVERAGED if name in per_class[0]):
        values = [scores[key] for scores in per_class]
        for end in ('', '_lo', '_hi'):
            if key + end in per_class[0]:
                scalars[f'macro_{key}{end}'] = mean_present([scores[key + end] for scores in per_class])
        scalars |= {f'macro_{key}_{group}': mean for group, mean in groups.means(values).items()}
    for name, scores in zip(names, per_class):
        scalars |= {f'{key}/{name}': value for key, value in scores.items()}
    scalars['ranking_nan_pixels'] = float(tables['nan_pixels'][0])
    subgroups, gaps = _subgroups(tables, names)
    scalars |= gaps
    records = [
        {'class': name, **scores, 'curve': drawn_curve(hits[row], misses[row])}
        for row, (name, scores) in enumerate(zip(names, per_class))
    ]
    metric.artifact = jsonable(
        artifact_head('ranking', names, counts, groups, scalars)
        | {'per_class': records, 'undefined': undefined, 'nan_pixels': int(tables['nan_pixels'][0]), 'exact': exact,
           'score': metric.score, 'bits': metric.bits, 'subgroups': subgroups}
    )  # fmt: skip
    header = ('class', *[key for key in per_class[0] if not key.startswith('image')])
    rows = [(name, *[scores[key] for key in header[1:]]) for name, scores in zip(names, per_class)]
    notes = _warnings(metric, names, per_class, undefined, int(tables['nan_pixels'][0]))
    notes += group_notes(groups, names)
    log_table('Ranking of pixels (chance: AUROC 0.5, AP = prevalence)', header, rows, notes)
    return scalars


def _row_names(metric: DenseRankingMetric, rows: int) -> list[str]:
    """Class names of the histogram rows (a sigmoid head has one row, the last class)."""
    names = [metric.classes[index] for index in metric.judged]
    return names if len(names) == rows else [metric.classes[-1]]


def _counts_of_rows(metric: DenseRankingMetric, names: list[str]) -> Any:
    """A list of counts for all classes, cut down to the judged ones; paths and ``None`` pass through."""
    given = metric.class_counts
    if given is None or isinstance(given, str) or not hasattr(given, '__len__') or len(given) == len(names):
        return given
    return [given[metric.classes.index(name)] for name in names] if len(given) == len(metric.classes) else given


def _errors(tables: dict[str, Counts], row: int) -> dict[str, float]:
    """Jackknife standard errors of one class."""
    blocks = sorted({name.split('/')[1] for name in tables if name.startswith('block/')}, key=int)
    if not blocks:
        return {}
    hits = np.stack([tables[f'block/{block}/pos'][row] for block in blocks])
    misses = np.stack([tables[f'block/{block}/neg'][row] for block in blocks])
    return jackknife_errors(hits, misses)


def _image_means(tables: dict[str, Counts], row: int) -> dict[str, float]:
    """Means of the per-image scores of one class over the images that have it."""
    if 'images' not in tables:
        return {}
    images = int(tables['images'][row])
    means = {
        f'image_{name}': tables[f'image_{name}'][row] / SCORE_UNIT / images if images else float('nan')
        for name in ('auroc', 'ap')
    }
    return means | {'image_count': float(images)}


def _subgroups(tables: dict[str, Counts], names: list[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """Per subgroup and class AUROC, AP, prevalence, AP at the common prevalence; and the gaps max - min per class."""
    groups = sorted({name.split('/', 1)[1].rsplit('/', 1)[0] for name in tables if name.startswith('subgroup/')})
    report: dict[str, Any] = {group: {} for group in groups}
    gaps: dict[str, float] = {}
    for row, name in enumerate(names):
        total_p, total_n = int(tables['pos'][row].sum()), int(tables['neg'][row].sum())
        common = total_p / (total_p + total_n) if total_p and total_n else None
        for group in groups:
            hits, misses = tables[f'subgroup/{group}/pos'][row], tables[f'subgroup/{group}/neg'][row]
            scores = auroc_ap_from_hist(hits, misses)
            curve = ranking_curve(hits, misses)
            adjusted = ap_at_prevalence(curve, common) if curve and common else float('nan')
            report[group][name] = {key: scores[key] for key in ('auroc', 'ap', 'prevalence')} | {'ap_common': adjusted}
        for key in ('auroc', 'ap', 'ap_common') if groups else ():
            values = np.array([report[group][name][key] for group in groups])
            values = values[~np.isnan(values)]
            gaps[f'{key}_gap/{name}'] = float(np.ptp(values)) if values.size else float('nan')
    return report, gaps


def _warnings(
    metric: DenseRankingMetric, names: list[str], per_class: list[dict[str, float]], undefined: list[str], broken: int
) -> list[str]:
    """What a reader must know about the table."""
    notes = []
    wide = [
        name
        for name, scores in zip(names, per_class)
        for key in ('auroc', 'ap')
        if scores.get(f'{key}_hi', 0.0) - scores.get(f'{key}_lo', 0.0) > metric.warn_width
    ]
    wide = list(dict.fromkeys(wide))
    if wide:
        notes.append(
            f'Bounds wider than {metric.warn_width} for {", ".join(wide)}: use bits={min(metric.bits + 2, 20)}'
            + (" or score='margin'." if metric.score == 'prob' else '.')
        )
    if undefined:
        notes.append(f'Undefined (no positive or no negative pixel), in no mean: {", ".join(undefined)}')
    if broken:
        notes.append(f'{broken} pixels with NaN scores were left out.')
    return notes
