"""What :class:`SCDMetric` returns, logs and leaves, out of its summed tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.dist import is_main_process

from imbdense.core.metrics.change_scores import (
    HistogramSums,
    binary_scores,
    change_scores,
    class_scores,
    macro_scores,
)
from imbdense.core.metrics.groups import FrequencyGroups
from imbdense.core.metrics.transitions import Transitions, long_tail, row_normalised, transition_scores
from imbdense.mm.metrics.change_metric import Sums, Table, percent, with_intervals, with_range
from imbdense.mm.metrics.change_sample import note_ignored
from imbdense.mm.metrics.output import artifact_head, jsonable, log_table
from imbdense.mm.metrics.table_metric import Tally
from imbdense.mm.metrics.transition_table import transition_records, write_transitions

if TYPE_CHECKING:
    from imbdense.mm.metrics.scd_metric import SCDMetric

GROUPS = {
    'oa': ('OA',),
    'miou': ('mIoU', 'IoU0', 'IoU1'),
    'sek': ('SeK', 'Score', 'separated_kappa', 'kappa_degenerate'),
    'fscd': ('F_scd', 'precision_scd', 'recall_scd'),
    'kappa': ('kappa',),
}
SHOWN = ('SeK', 'F_scd', 'mIoU', 'Score', 'OA')
Ranges = Mapping[str, tuple[float, float]]


def report_change(metric: SCDMetric, tally: Tally) -> dict[str, float]:
    """Compute the scalars, set the artefact, log the tables."""
    tables, classes = tally.tables, metric.land_cover
    sums = metric.sums(tables)
    scalars = _protocol_scalars(metric, sums, tally.records)
    scalars |= _binary_scalars(metric, sums, scalars)
    if 'transitions' in metric.metrics:
        scalars |= {f'trans/{name}': value for name, value in transition_scores(sums['scd/from_to']).items()}
    semantic = HistogramSums.of(tables['sem'])
    if 'long_tail' in metric.metrics:
        scalars |= _class_scalars(metric, semantic, sums, classes)
    found, blocks = metric.intervals(tables, strict_reference=metric.strict_reference)
    scalars = with_intervals(scalars, found)
    transitions = _transitions(metric, tables, sums, classes)
    counts = semantic.labelled[1:]
    groups = FrequencyGroups.thirds(counts, source='changed pixels of the evaluated labels, both dates')
    metric.artifact = jsonable(
        artifact_head('change', classes, counts, groups, scalars)
        | {
            'protocols': metric.protocols,
            'tables': {name: tables[name] for name in ('sem', 'bcd', 'from_to') if name in tables},
            'per_class': _class_records(semantic, classes),
            'transitions': transitions,
            'census': dict(zip(('unchanged', 'known', 'one_unknown', 'unknown', 'ignored'), tables['census'].tolist())),
            'intervals': found,
            'blocks': blocks,
        }
    )
    if metric.out_csv is not None and transitions is not None and is_main_process():
        write_transitions(metric.out_csv, transitions['records'])
    _log(metric, sums, semantic, classes, found, _notes(metric, tables, scalars))
    return scalars


def _protocol_scalars(metric: SCDMetric, sums: Sums, accuracies: Sequence[float]) -> dict[str, float]:
    """``scd/<protocol>/...`` of the groups asked for."""
    wanted = {name for group, names in GROUPS.items() if group in metric.metrics for name in names} | {'valid'}
    scalars = {}
    for protocol in metric.protocols:
        scores = change_scores(sums[f'scd/{protocol}'], strict_reference=metric.strict_reference)
        scalars |= {f'scd/{protocol}/{name}': float(value) for name, value in scores.items() if name in wanted}
    if metric.oa == 'image_mean' and 'oa' in metric.metrics:
        scalars['scd/sem/OA'] = float(np.mean(accuracies)) if accuracies else float('nan')
    if 'miou' in metric.metrics:
        scalars['scd/mIoU'] = scalars[f'scd/{metric.protocols[0]}/mIoU']
    return scalars


def _binary_scalars(metric: SCDMetric, sums: Sums, scalars: Mapping[str, float]) -> dict[str, float]:
    """``bcd/...``, and what open-cd calls these numbers."""
    if 'bcd' not in metric.metrics:
        return {}
    scores = {name: float(value) for name, value in binary_scores(sums['bcd']).items()}
    out = {f'bcd/{name}': value for name, value in scores.items()}
    out |= {'binary/mIoU': scores['mIoU'], 'binary/mFscore': scores['mFscore']}
    if 'scd/sem/SeK' in scalars:
        sek = scalars['scd/sem/SeK']
        out |= {'semantic/Sek': sek, 'semantic/SCD_Score': 0.3 * scores['mIoU'] + 0.7 * sek}
    return out


def _class_scalars(
    metric: SCDMetric, semantic: HistogramSums, sums: Sums, classes: Sequence[str]
) -> dict[str, float]:
    """Per land-cover class (protocol ``sem``), macro means, and the long tail of classes and transitions."""
    out = {}
    for record in _class_records(semantic, classes):
        if record['pixels']:
            out |= {f'scd/{name}/{record["class"]}': record[name] for name in ('recall', 'IoU')}
    out |= {f'scd/{name}': float(value) for name, value in macro_scores(semantic, first=1).items()}
    tail = {'scd': long_tail(semantic, source='changed pixels')}
    if 'transitions' in metric.metrics:
        tail['trans'] = long_tail(sums['scd/from_to'], source='changed pixels')
    return out | {f'{room}/{name}': value for room, values in tail.items() for name, value in values.items()}


def _class_records(semantic: HistogramSums, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Scores of every land-cover class inside changes."""
    scores = class_scores(semantic)
    return [
        {'class': name, 'pixels': int(semantic.labelled[row]), 'predicted': int(semantic.predicted[row]),
         **{key: float(values[row]) for key, values in scores.items()}}
        for row, name in enumerate(classes, start=1)
    ]  # fmt: skip


def _transitions(metric: SCDMetric, tables: Table, sums: Sums, classes: Sequence[str]) -> dict[str, Any] | None:
    """Matrices T_label, T_pred, T_hit, their rows normalised, and a record per transition that occurs."""
    if 'transitions' not in metric.metrics:
        return None
    counted, area = sums['scd/from_to'], metric.hectares(tables, 'scd/from_to')
    matrices = Transitions.of(counted)
    out: dict[str, Any] = {
        'labelled': matrices.labelled,
        'predicted': matrices.predicted,
        'hit': matrices.hit,
        'labelled_rows': row_normalised(matrices.labelled),
        'predicted_rows': row_normalised(matrices.predicted),
        'records': transition_records(counted, classes, area),
    }
    if area is not None:
        found = Transitions.of(area)
        out['hectares'] = {'labelled': found.labelled, 'predicted': found.predicted, 'hit': found.hit}
    return out


def _notes(metric: SCDMetric, tables: Table, scalars: Mapping[str, float]) -> list[str]:
    """What a reader should know before believing the numbers."""
    known, one_unknown, unknown, ignored = tables['census'][1:].tolist()
    notes = []
    if scalars.get('trans/present'):
        notes.append(
            f'{scalars["trans/present"]:.0f} transitions in the labels, as varied as {scalars["trans/effective"]:.1f} '
            f'equally frequent ones.'
        )
    if one_unknown or unknown:
        notes.append(
            f'{one_unknown + unknown:,} changed pixels have no land-cover label at one date ({one_unknown:,}) or both '
            f'({unknown:,}); they count for "bcd" alone there.'
        )
    if ignored and not known + one_unknown + unknown:
        notes.append(note_ignored(ignored, metric.ignore_index))
    if 'located' in tables and 0 < tables['located'][0] < tables['located'][1]:
        given, samples = tables['located'].tolist()
        notes.append(f'Only {given:,} of {samples:,} samples carry a transform: no areas are reported.')
    return notes


def _log(
    metric: SCDMetric, sums: Sums, semantic: HistogramSums, classes: Sequence[str], found: Ranges, notes: list[str]
) -> None:
    """Percent here, and only here."""
    rows = []
    for protocol in metric.protocols:
        scores = change_scores(sums[f'scd/{protocol}'], strict_reference=metric.strict_reference)
        rows.append((protocol, *(with_range(f'scd/{protocol}/{name}', float(scores[name]), found) for name in SHOWN)))
    log_table('Semantic change, %', ('protocol', *SHOWN), rows)
    scores = binary_scores(sums['bcd'])
    names = ('F1', 'precision', 'recall', 'IoU', 'kappa')
    row = ('change', *(with_range(f'bcd/{name}', float(scores[name]), found) for name in names))
    log_table('Changed or not, %', ('', *names), [row])
    records = sorted(_class_records(semantic, classes), key=lambda record: -record['pixels'])
    log_table(
        'Land cover inside changes, %',
        ('class', 'label pixels', 'recall', 'precision', 'IoU'),
        [(r['class'], r['pixels'], percent(r['recall']), percent(r['precision']), percent(r['IoU'])) for r in records],
        notes,
    )
